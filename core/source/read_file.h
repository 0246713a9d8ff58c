/* read_file.h - a small regular file as bytes that scrub themselves.
 *
 * These are the only calls of the library that touch a disk while requests are in
 * flight: local files are small and answer at once, so the loop does not wait for them.
 * FIFOs, devices and directories are refused; opening one does not block. */
#pragma once
#include "base/buf.h"
#include "moonlatch.h"

enum { ML_FILE_MAX_BYTES = 1024 * 1024 };

/* Descriptor of a file to read, or -1 and errno. */
int ml_open_file(const char *path);
/* The same for a name below root, which must lie there whatever links it goes through:
 * EXDEV when it does not. */
int ml_open_beneath(int root_fd, const char *name);
/* The same on kernels without openat2: opens first, then looks where it has arrived. */
int ml_open_and_check(int root_fd, const char *name);
/* Reads what is open (-1: an errno that opening has left) and closes it.  Codes:
 * missing (no such file), forbidden, invalid (no regular file, larger than
 * ML_FILE_MAX_BYTES), unavailable (the rest).  `shown` is what texts call it. */
int ml_read_file(int fd, const char *shown, ml_buf *out, ml_err *e);
/* The code of an errno, with its text. */
int ml_file_fail(ml_err *e, int problem, const char *shown);
/* Without one newline (CR LF counts as one) at the end. */
ml_str ml_trim_newline(ml_str text);
