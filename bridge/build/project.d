build/project.o: project.c role.h config.h log.h
role.h:
config.h:
log.h:
