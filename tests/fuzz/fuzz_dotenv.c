/* fuzz_dotenv.c - the .env reader: no crash, lines only go up, and every line is told,
 * skipped or part of a value. */
#include "fuzz.h"

#include "source/dotenv.h"

const char *const fuzz_seeds[] = {
    "# x\nexport A = 'a\nb' # c\nB=\"\\n\\$\\\"${\"\r\n=e\n",
    "C={\"a\": \"b # c\"} # d\nD\n",
    "\xef\xbb\xbfK=v\r\nL=\"\r\n\"x\nM=[1, \"\\\"\"]\"\n",
    "A='",
    "A=#\n",
    NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ml_str text = {(const char *)data, size};
    ml_dotenv d;
    int line = 0, nul_line = ml_dotenv_init(&d, text);
    FUZZ_CLAIM((nul_line > 0) == (ml_str_find(text, '\0') < size));
    while (ml_dotenv_next(&d)) {
        FUZZ_CLAIM(d.line > line && nul_line == 0);
        line = d.line;
        FUZZ_CLAIM(d.name.n == 0 || ml_dotenv_is_name(d.name));
        FUZZ_CLAIM(d.reason || (d.name.n && d.value.len < size));
    }
    FUZZ_CLAIM(ml_dotenv_fini(&d));
    return 0;
}
