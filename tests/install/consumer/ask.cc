// ask.cc - the same host, for a C++ compiler.
#include "ask.c"
