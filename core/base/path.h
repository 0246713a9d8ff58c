/* path.h - paths that stay what they are when the host changes its directory. */
#pragma once

/* What a path means now; the caller frees.  NULL when out of memory, or when there is
 * no current directory to speak of. */
char *ml_path_absolute(const char *path);
