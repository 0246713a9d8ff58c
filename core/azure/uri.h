/* uri.h - the parts of an absolute URI, as views of its bytes.  Pure.
 *
 * Stricter than RFC 3986, because everything here decides where a credential may go:
 * printable ASCII only, no backslash, no percent-encoding in the host, no empty label,
 * no empty port.  What two parsers could read in two ways is not a URI here. */
#pragma once
#include "base/str.h"

enum { ML_HOST_MAX = 253 };

typedef struct ml_uri {
    ml_str scheme;
    bool has_userinfo;
    ml_str host;     /* without brackets */
    bool is_address; /* an IPv4 or IPv6 address */
    bool is_ipv6;
    int port;    /* 0 when none was given */
    ml_str path; /* "" or from its first slash */
    bool has_query;
    bool has_fragment;
} ml_uri;

/* False when text is not scheme://host... of this kind; *u may be half filled then. */
bool ml_uri_split(ml_str text, ml_uri *u);
/* The port a https client connects to. */
int ml_uri_https_port(const ml_uri *u);
