/* json_pointer.h - the value that a JSON pointer (RFC 6901) names, without a tree.
 *
 * Works on bytes that the caller keeps (an ml_secret's, say) and copies none of them.
 *
 *     ml_json_place place;
 *     switch (ml_json_point(body, ML_LIT("/data/password"), &place)) ...
 *     if (place.kind == ML_JSON_STRING) ml_json_unescape(place.raw, &buf);
 *     else the text of any other value is place.raw, as it is written */
#pragma once
#include "io/json.h"

typedef enum ml_json_pointing {
    ML_JSON_POINTED,     /* place is filled */
    ML_JSON_ABSENT,      /* well-formed, but nothing is there */
    ML_JSON_MALFORMED,   /* the text is not JSON, anywhere */
    ML_JSON_BAD_POINTER, /* neither "" nor "/...", or a '~' without 0 or 1 */
    ML_JSON_NO_MEMORY
} ml_json_pointing;

typedef struct ml_json_place {
    ml_json_kind kind;
    ml_str raw; /* into the text: of a string what is between its quotes, escaped */
} ml_json_place;

/* "" is the whole text.  Of two members with one name the later counts, as with most
 * parsers.  The text is checked to its end; pointers longer than 4 KiB are bad. */
ml_json_pointing ml_json_point(ml_str text, ml_str pointer, ml_json_place *place);
/* Is this a pointer at all? */
bool ml_json_pointer_is_valid(ml_str pointer);
