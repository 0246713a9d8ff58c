/* proxy.h - which proxy a request goes through, for error texts: libcurl decides. */
#pragma once
#include <stdbool.h>

#include "base/str.h"

enum { ML_PROXY_NAME = 128 };

typedef struct ml_proxy {
    char name[ML_PROXY_NAME]; /* HOST:PORT without user and password; "": none */
    char scheme[16];          /* "http" when it names none */
    bool is_supported;        /* the scheme is */
} ml_proxy;

/* What libcurl does with a proxy setting; text may be NULL. */
void ml_proxy_parse(ml_proxy *p, const char *text);
/* The configured proxy, else the environment's (https_proxy, HTTPS_PROXY, all_proxy,
 * ALL_PROXY); none when NO_PROXY or no_proxy excepts the host (its port is passed
 * over). */
void ml_proxy_for(ml_proxy *p, const char *configured, ml_str host);
/* Is the host in a list like "localhost, .example.com, *"? */
bool ml_proxy_is_excepted(const char *list, ml_str host);
