"""Certificates for tests, made by openssl in a folder: an authority, servers
and clients it vouches for, and others it does not."""
import os
import shutil
import subprocess

SERVER = 'subjectAltName=DNS:localhost,IP:127.0.0.1'


def openssl(*words):
    subprocess.run(['openssl', *words], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


class Authority:
    """Every file is name.crt with name.key, readable by the servers' user."""

    def __init__(self, folder, name='ca'):
        self.folder, self.name = folder, name
        folder.mkdir(parents=True, exist_ok=True)
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                '-days', '2', '-subj', f'/CN=test {name}', '-keyout', self.path(f'{name}.key'),
                '-out', self.path(f'{name}.crt'))
        self.own(f'{name}.key', f'{name}.crt')

    def path(self, name):
        return str(self.folder / name)

    def own(self, *names):
        for name in names:
            os.chmod(self.path(name), 0o600)
            if os.geteuid() == 0:
                shutil.chown(self.path(name), 'postgres', 'postgres')

    @property
    def certificate(self):
        return self.path(f'{self.name}.crt')

    def issue(self, name, subject, extension=SERVER, days='2'):
        """(certificate, key)."""
        request, crt, key = (self.path(f'{name}.{end}') for end in ('csr', 'crt', 'key'))
        extensions = self.path(f'{name}.ext')
        with open(extensions, 'w', encoding='ascii') as file:
            file.write(extension + '\n')
        openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                '-subj', f'/CN={subject}', '-keyout', key, '-out', request)
        openssl('x509', '-req', '-in', request, '-CA', self.certificate, '-CAkey',
                self.path(f'{self.name}.key'), '-CAcreateserial', '-days', days,
                '-extfile', extensions, '-out', crt)
        self.own(f'{name}.key', f'{name}.crt')
        return crt, key

    def unproven(self):
        """{what is wrong: (certificate, key)} of servers nobody must believe."""
        other = Authority(self.folder / 'other', 'other')
        return {
            'of an unknown authority': other.issue('server', 'localhost'),
            'of another host': self.issue('elsewhere', 'elsewhere',
                                          'subjectAltName=DNS:elsewhere.example'),
            'expired': self.issue('expired', 'localhost', days='-1'),
            'signed by itself': (other.certificate, other.path('other.key')),
        }
