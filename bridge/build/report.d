build/report.o: report.c role.h config.h log.h
role.h:
config.h:
log.h:
