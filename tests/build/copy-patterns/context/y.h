y.h
