/* err.h - filling the error struct that is passed down, one per request. */
#pragma once
#include "moonlatch.h"

/* Sets code and text, keeps the other fields.  Returns code, so that a failing
 * function ends in `return ml_fail(e, ML_EUSAGE, "...")`.  e may be NULL. */
int ml_fail(ml_err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Clears every field. */
void ml_err_clear(ml_err *e);
/* The same at less cost: what is behind the "" of its strings stays as it is. */
void ml_err_init(ml_err *e);
/* How an error goes from one owner to another: of its strings nothing that is behind
 * their ends is read, and every byte of `to` is written. */
void ml_err_copy(ml_err *to, const ml_err *from);
/* Copies at most size-1 printable bytes; control bytes become '?'.  Text that comes
 * from a service goes through here before it may enter an ml_err or a log line. */
void ml_copy_printable(char *out, size_t size, const char *p, size_t n);
/* The code of an outcome word, or ML_OK when the word is unknown. */
int ml_code_of_name(const char *name);
/* "ML_EMISSING" -> "missing" style short unique name: code word for Lua and JSON. */
const char *ml_code_name(int code);
