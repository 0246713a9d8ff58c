/* path.c - paths that stay what they are when the host changes its directory. */
#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

char *ml_path_absolute(const char *path)
{
    if (path[0] == '/') return ml_dup(path);
    char *dir = getcwd(NULL, 0);
    size_t n = dir ? strlen(dir) + 1 + strlen(path) + 1 : 0;
    char *whole = dir ? ml_malloc(n) : NULL;
    if (whole) snprintf(whole, n, "%s/%s", dir, path);
    free(dir); /* allowed: getcwd's */
    return whole;
}
