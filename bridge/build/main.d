build/main.o: main.c role.h config.h
role.h:
config.h:
