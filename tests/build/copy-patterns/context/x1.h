x1.h
