/* local_file.h - a file of variables or connections as Airflow's
 * LocalFilesystemBackend reads it.  Pure.
 *
 *   .env         KEY=VALUE; a line is empty, a comment, or has a key, "=" and a value,
 *                each as it stands: no quotes, no blanks taken off
 *   .json        an object          .yaml, .yml    a map
 *
 * A mistake anywhere fails the whole file, as there.  A variable is a text, or what
 * Python's str() makes of a number, a date or a boolean; lists and maps are answered as
 * JSON; a list of one stands for its element, and null for nothing.  A connection is a
 * URI, or an object of its fields, which is answered as JSON. */
#pragma once
#include "source/value.h"

typedef enum ml_local_format {
    ML_LOCAL_UNKNOWN,
    ML_LOCAL_ENV,
    ML_LOCAL_JSON,
    ML_LOCAL_YAML
} ml_local_format;

/* By what follows the last dot, without case. */
ml_local_format ml_local_format_of(const char *path);
/* The top-level map, checked; NULL: v->problem and v->line say why. */
ml_value *ml_local_read(ml_values *v, ml_str text, ml_local_format format,
                        bool are_connections);
/* The answer for one value of the map.  False: v->problem says why; both false and no
 * problem: null, which counts as missing. */
bool ml_local_answer(ml_values *v, const ml_value *value, bool are_connections,
                     ml_buf *out);
