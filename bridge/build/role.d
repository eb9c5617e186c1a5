build/role.o: role.c role.h config.h
role.h:
config.h:
