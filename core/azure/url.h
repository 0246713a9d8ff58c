/* url.h - vault URLs and secret names: what is allowed, before any network.  Pure. */
#pragma once
#include "base/buf.h"
#include "moonlatch.h"

enum { ML_SECRET_NAME_MAX = 127, ML_VALUE_MAX_BYTES = 25600 };

/* A vault's address, checked. */
typedef struct ml_vault_url {
    char origin[300];    /* "https://acme.vault.azure.net" or with ":port", no slash */
    char host[256];      /* lower-case, without port, without brackets */
    int port;            /* 443 when none was given */
    bool is_loopback;    /* 127.0.0.0/8, ::1, localhost, *.localhost */
    char audience[256];  /* "https://vault.azure.net" by suffix; "" when unknown */
    char authority[128]; /* "https://login.microsoftonline.com" by suffix; "" unknown */
} ml_vault_url;

/* https only; a trailing slash is tolerated; userinfo, path, query, fragment and
 * unknown suffixes are ML_EUSAGE with the reason.  extra_suffix
 * (".vault.local.example", may be NULL) is allowed besides the known clouds; loopback
 * always is, with any port. A port other than 443 is allowed on loopback and with
 * extra_suffix only. */
int ml_vault_url_parse(ml_vault_url *u, ml_str text, const char *extra_suffix,
                       ml_err *e);

/* ^[0-9A-Za-z-]{1,127}$ ; else ML_EUSAGE with what is wrong with it. */
int ml_secret_name_check(ml_str name, ml_err *e);
/* ^[0-9A-Fa-f]{32}$ ; else ML_EUSAGE. */
int ml_secret_version_check(ml_str version, ml_err *e);
/* GUID or domain: ^[0-9A-Za-z.-]{1,253}$ ; else ML_EUSAGE. */
int ml_tenant_check(ml_str tenant, ml_err *e);
/* An absolute https URL without userinfo, query, fragment; result without trailing
 * slash in out (300 bytes).  For AZURE_AUTHORITY_HOST. */
int ml_authority_check(ml_str text, char *out, size_t size, ml_err *e);

/* Splits https://host/{secrets|deletedsecrets}/name[/version]. False when it is not
 * one. host may carry a port.  version is empty when absent. */
bool ml_secret_id_parse(ml_str id, ml_str *collection, ml_str *name, ml_str *version);
/* Is this nextLink on the vault itself: scheme https, same host without case, same
 * port after defaults?  Decides on the bytes as given; never changes them. */
bool ml_next_link_is_safe(const ml_vault_url *u, ml_str link);
