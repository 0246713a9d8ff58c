/* kept.c - what a dev vault keeps across a restart: tenant, client, secret and port. */
#include "devvault/kept.h"

#include <stdio.h>

#include "base/mem.h"

enum { ID_BYTES = 16, SECRET_BYTES = 20 };

static int keep_id(ml_dv_store *s, const char *name, char *out, size_t size, ml_err *e)
{
    unsigned char b[ID_BYTES];
    int rc = ml_dv_store_key(s, name, b, sizeof(b), e);
    if (rc) return rc;
    snprintf(out, size,
             "%02x%02x%02x%02x-%02x%02x-4%x%02x-8%x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6] & 15, b[7], b[8] & 15, b[9], b[10],
             b[11], b[12], b[13], b[14], b[15]);
    return 0;
}

static int keep_secret(ml_dv_store *s, ml_buf *out, ml_err *e)
{
    unsigned char b[SECRET_BYTES];
    int rc = ml_dv_store_key(s, "client-secret", b, sizeof(b), e);
    if (rc) return rc;
    ml_buf_clear(out);
    for (size_t i = 0; i < sizeof(b); i++) ml_buf_addf(out, "%02x", b[i]);
    ml_scrub(b, sizeof(b));
    return 0;
}

int ml_dv_keep_identity(ml_dv_store *s, const ml_devvault_options *opt, ml_dv_config *c,
                        ml_err *e)
{
    int rc = 0;
    if (!opt->tenant_id)
        rc = keep_id(s, "tenant-id", c->tenant_id, sizeof(c->tenant_id), e);
    if (rc == 0 && !opt->client_id)
        rc = keep_id(s, "client-id", c->client_id, sizeof(c->client_id), e);
    if (rc == 0 && !opt->client_secret) rc = keep_secret(s, &c->client_secret, e);
    return rc;
}

int ml_dv_kept_port(ml_dv_store *s)
{
    unsigned char b[2];
    return ml_dv_store_read_key(s, "port", b, sizeof(b)) ? b[0] << 8 | b[1] : 0;
}

int ml_dv_keep_port(ml_dv_store *s, int port, ml_err *e)
{
    unsigned char b[2] = {(unsigned char)(port >> 8), (unsigned char)port};
    return ml_dv_store_write_key(s, "port", b, sizeof(b), e);
}
