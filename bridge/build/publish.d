build/publish.o: publish.c role.h config.h log.h
role.h:
config.h:
log.h:
