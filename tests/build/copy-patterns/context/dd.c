dd.c
