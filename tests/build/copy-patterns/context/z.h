z.h
