/* verbs.c - the words of ml_verb. */
#include "script/verbs.h"

#include <string.h>

static const char *const words[ML_VERB_COUNT] = {
    [ML_GET] = "get",
    [ML_EXPLAIN] = "explain",
    [ML_LIST] = "list",
    [ML_PUT] = "put",
    [ML_UPDATE] = "update",
    [ML_DELETE] = "delete",
    [ML_VERSIONS] = "versions",
    [ML_LIST_DELETED] = "list_deleted",
    [ML_GET_DELETED] = "get_deleted",
    [ML_RECOVER] = "recover",
    [ML_PURGE] = "purge",
    [ML_BACKUP] = "backup",
    [ML_RESTORE] = "restore",
    [ML_CHECK] = "check",
    [ML_TEST] = "test",
};

const char *ml_verb_word(ml_verb verb)
{
    return (unsigned)verb < ML_VERB_COUNT ? words[verb] : "?";
}

ml_verb ml_verb_of(const char *word)
{
    int verb = 0;
    while (verb < ML_VERB_COUNT && strcmp(words[verb], word) != 0) verb++;
    return (ml_verb)verb;
}
