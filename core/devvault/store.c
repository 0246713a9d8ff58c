/* store.c - vaults, secrets and their versions in SQLite. */
#include "devvault/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "devvault/text.h"

enum { BUSY_MS = 2000, LARGEST_BYTES = 128 * 1024 };

struct ml_dv_store {
    sqlite3 *db;
};

static const char schema[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
    "PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY;"
    "CREATE TABLE IF NOT EXISTS keys(name TEXT PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS secrets("
    " id INTEGER PRIMARY KEY, vault TEXT NOT NULL COLLATE NOCASE,"
    " name TEXT NOT NULL COLLATE NOCASE, deleted INTEGER NOT NULL DEFAULT 0,"
    " purge INTEGER NOT NULL DEFAULT 0, busy_until_ms INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE(vault, name));"
    "CREATE TABLE IF NOT EXISTS versions("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " secret INTEGER NOT NULL REFERENCES secrets(id) ON DELETE CASCADE,"
    " version TEXT NOT NULL COLLATE NOCASE, value BLOB NOT NULL, content_type TEXT,"
    " tags TEXT NOT NULL, enabled INTEGER NOT NULL, nbf INTEGER, exp INTEGER,"
    " created INTEGER NOT NULL, updated INTEGER NOT NULL, UNIQUE(secret, version));";

/* What read_row expects, in its order. */
#define COLUMNS                                                                        \
    "SELECT s.id, v.id, s.name, v.version,"                                            \
    " (SELECT p.version FROM versions p WHERE p.secret = s.id AND p.id < v.id"         \
    "  ORDER BY p.id DESC LIMIT 1),"                                                   \
    " v.value, v.content_type, v.tags, v.enabled, v.nbf, v.exp, v.created, v.updated," \
    " s.deleted, s.purge, s.busy_until_ms FROM secrets s JOIN versions v ON "
#define NEWEST "v.id = (SELECT max(n.id) FROM versions n WHERE n.secret = s.id) "

void ml_dv_record_init(ml_dv_record *r)
{
    *r = (ml_dv_record){.enabled = true};
    ml_buf_init(&r->value, LARGEST_BYTES);
    ml_buf_init(&r->content_type, LARGEST_BYTES);
    ml_buf_init(&r->tags, LARGEST_BYTES);
}

void ml_dv_record_fini(ml_dv_record *r)
{
    ml_buf_fini(&r->value);
    ml_buf_fini(&r->content_type);
    ml_buf_fini(&r->tags);
}

static int failed(ml_dv_store *s, ml_err *e)
{
    return ml_fail(e, ML_ESYSTEM, "the store failed: %s", sqlite3_errmsg(s->db));
}

/* Only the owner may read the database and the files that SQLite puts beside it, which
 * take its mode: a new one is made so, what is there becomes so. */
static int make_private(const char *file)
{
    static const char *const beside[] = {"", "-wal", "-shm", "-journal"};
    char path[4096];
    for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
        int flags = O_RDWR | O_CLOEXEC | (i == 0 ? O_CREAT : 0);
        int n = snprintf(path, sizeof(path), "%s%s", file, beside[i]);
        if (n < 0 || (size_t)n >= sizeof(path)) return -1;
        int fd = open(path, flags, 0600);
        if (fd < 0 && i > 0 && errno == ENOENT) continue;
        bool ok = fd >= 0 && fchmod(fd, 0600) == 0;
        if (fd >= 0) close(fd);
        if (!ok) return -1;
    }
    return 0;
}

int ml_dv_store_open(ml_dv_store **out, const char *file, ml_err *e)
{
    if (file && make_private(file) != 0) {
        return ml_fail(e, ML_ESYSTEM, "cannot use store %s: %s", file, strerror(errno));
    }
    ml_dv_store *s = calloc(1, sizeof(*s));
    if (!s) return ml_fail(e, ML_ENOMEM, "out of memory");
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int rc = sqlite3_open_v2(file ? file : ":memory:", &s->db, flags, NULL);
    if (rc == SQLITE_OK) sqlite3_busy_timeout(s->db, BUSY_MS);
    if (rc == SQLITE_OK) rc = sqlite3_exec(s->db, schema, NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        *out = s;
        return 0;
    }
    ml_fail(e, ML_ESYSTEM, "cannot use store %s: %s", file ? file : "in memory",
            s->db ? sqlite3_errmsg(s->db) : "out of memory");
    ml_dv_store_close(s);
    return ML_ESYSTEM;
}

void ml_dv_store_close(ml_dv_store *s)
{
    if (!s) return;
    sqlite3_close(s->db);
    free(s);
}

bool ml_dv_store_begin(ml_dv_store *s)
{
    return sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
}

bool ml_dv_store_end(ml_dv_store *s, bool commit)
{
    const char *word = commit ? "COMMIT" : "ROLLBACK";
    return sqlite3_exec(s->db, word, NULL, NULL, NULL) == SQLITE_OK;
}

static sqlite3_stmt *prepare(ml_dv_store *s, const char *sql)
{
    sqlite3_stmt *st = NULL;
    sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
    return st; /* binding and stepping NULL fail cleanly */
}

static void bind_text(sqlite3_stmt *st, int i, const char *text)
{
    sqlite3_bind_text(st, i, text, -1, SQLITE_STATIC);
}

static void bind_int(sqlite3_stmt *st, int i, int64_t v, bool is_there)
{
    if (is_there)
        sqlite3_bind_int64(st, i, v);
    else
        sqlite3_bind_null(st, i);
}

/* For statements that bring no rows. */
static int run(ml_dv_store *s, sqlite3_stmt *st, ml_err *e)
{
    int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
    int result = rc == SQLITE_DONE ? 0 : failed(s, e);
    sqlite3_finalize(st);
    return result;
}

static int insert_key(ml_dv_store *s, const char *sql, const char *name,
                      const unsigned char *bytes, size_t n, ml_err *e)
{
    sqlite3_stmt *st = prepare(s, sql);
    bind_text(st, 1, name);
    sqlite3_bind_blob(st, 2, bytes, (int)n, SQLITE_STATIC);
    return run(s, st, e);
}

int ml_dv_store_write_key(ml_dv_store *s, const char *name, const unsigned char *bytes,
                          size_t n, ml_err *e)
{
    return insert_key(s, "INSERT OR REPLACE INTO keys VALUES(?, ?)", name, bytes, n, e);
}

bool ml_dv_store_read_key(ml_dv_store *s, const char *name, unsigned char *out,
                          size_t n)
{
    sqlite3_stmt *st = prepare(s, "SELECT bytes FROM keys WHERE name = ?");
    bind_text(st, 1, name);
    bool is_there =
        sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 0) == (int)n;
    if (is_there) memcpy(out, sqlite3_column_blob(st, 0), n);
    sqlite3_finalize(st);
    return is_there;
}

int ml_dv_store_key(ml_dv_store *s, const char *name, unsigned char *out, size_t n,
                    ml_err *e)
{
    unsigned char fresh[64];
    if (n > sizeof(fresh)) return ml_fail(e, ML_EUSAGE, "key '%s' is too long", name);
    ml_dv_random_bytes(fresh, n);
    int rc =
        insert_key(s, "INSERT OR IGNORE INTO keys VALUES(?, ?)", name, fresh, n, e);
    if (rc) return rc;
    return ml_dv_store_read_key(s, name, out, n) ? 0 : failed(s, e);
}

static void read_text(sqlite3_stmt *st, int i, char *out, size_t size)
{
    const unsigned char *text = sqlite3_column_text(st, i);
    snprintf(out, size, "%s", text ? (const char *)text : "");
}

static void read_bytes(sqlite3_stmt *st, int i, ml_buf *out)
{
    ml_buf_clear(out);
    const void *p = sqlite3_column_blob(st, i);
    ml_buf_add(out, p ? p : "", (size_t)sqlite3_column_bytes(st, i));
}

static void read_row(sqlite3_stmt *st, ml_dv_record *r)
{
    r->secret_id = sqlite3_column_int64(st, 0);
    r->version_id = sqlite3_column_int64(st, 1);
    read_text(st, 2, r->name, sizeof(r->name));
    read_text(st, 3, r->version, sizeof(r->version));
    read_text(st, 4, r->previous, sizeof(r->previous));
    read_bytes(st, 5, &r->value);
    r->has_content_type = sqlite3_column_type(st, 6) != SQLITE_NULL;
    read_bytes(st, 6, &r->content_type);
    read_bytes(st, 7, &r->tags);
    r->enabled = sqlite3_column_int(st, 8) != 0;
    r->has_nbf = sqlite3_column_type(st, 9) != SQLITE_NULL;
    r->nbf = sqlite3_column_int64(st, 9);
    r->has_exp = sqlite3_column_type(st, 10) != SQLITE_NULL;
    r->exp = sqlite3_column_int64(st, 10);
    r->created = sqlite3_column_int64(st, 11);
    r->updated = sqlite3_column_int64(st, 12);
    r->deleted = sqlite3_column_int64(st, 13);
    r->purge = sqlite3_column_int64(st, 14);
    r->busy_until_ms = sqlite3_column_int64(st, 15);
}

int ml_dv_store_find(ml_dv_store *s, const char *vault, const char *name,
                     const char *version, ml_dv_record *r, ml_err *e)
{
    bool newest = !version || !version[0];
    sqlite3_stmt *st =
        prepare(s, newest ? COLUMNS NEWEST "WHERE s.vault = ? AND s.name = ?"
                          : COLUMNS
                       "v.secret = s.id "
                       "WHERE s.vault = ? AND s.name = ? AND v.version = ?");
    bind_text(st, 1, vault);
    bind_text(st, 2, name);
    if (!newest) bind_text(st, 3, version);
    int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
    if (rc == SQLITE_ROW) read_row(st, r);
    sqlite3_finalize(st);
    if (rc == SQLITE_ROW) return 0;
    return rc == SQLITE_DONE ? ML_EMISSING : failed(s, e);
}

static int add_secret(ml_dv_store *s, const char *vault, ml_dv_record *r, ml_err *e)
{
    sqlite3_stmt *st =
        prepare(s, "INSERT OR IGNORE INTO secrets(vault, name) VALUES(?, ?)");
    bind_text(st, 1, vault);
    bind_text(st, 2, r->name);
    int rc = run(s, st, e);
    if (rc) return rc;
    st = prepare(s, "SELECT id FROM secrets WHERE vault = ? AND name = ?");
    bind_text(st, 1, vault);
    bind_text(st, 2, r->name);
    if (sqlite3_step(st) == SQLITE_ROW)
        r->secret_id = sqlite3_column_int64(st, 0);
    else
        rc = failed(s, e);
    sqlite3_finalize(st);
    return rc;
}

/* Parameters 1..5 of the statements that write attributes. */
static void bind_attributes(sqlite3_stmt *st, const ml_dv_record *r)
{
    ml_str type = ml_buf_str(&r->content_type), tags = ml_buf_str(&r->tags);
    if (r->has_content_type)
        sqlite3_bind_text(st, 1, type.p, (int)type.n, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, tags.p, (int)tags.n, SQLITE_STATIC);
    sqlite3_bind_int(st, 3, r->enabled);
    bind_int(st, 4, r->nbf, r->has_nbf);
    bind_int(st, 5, r->exp, r->has_exp);
}

int ml_dv_store_add(ml_dv_store *s, const char *vault, ml_dv_record *r, ml_err *e)
{
    int rc = add_secret(s, vault, r, e);
    if (rc) return rc;
    sqlite3_stmt *st =
        prepare(s, "INSERT INTO versions(content_type, tags, enabled, nbf, exp,"
                   " secret, version, value, created, updated)"
                   " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    bind_attributes(st, r);
    sqlite3_bind_int64(st, 6, r->secret_id);
    bind_text(st, 7, r->version);
    ml_str value = ml_buf_str(&r->value);
    sqlite3_bind_blob(st, 8, value.p, (int)value.n, SQLITE_STATIC);
    sqlite3_bind_int64(st, 9, r->created);
    sqlite3_bind_int64(st, 10, r->updated);
    rc = run(s, st, e);
    if (rc == 0) r->version_id = sqlite3_last_insert_rowid(s->db);
    return rc;
}

int ml_dv_store_update(ml_dv_store *s, const ml_dv_record *r, ml_err *e)
{
    sqlite3_stmt *st =
        prepare(s, "UPDATE versions SET content_type = ?, tags = ?, enabled = ?,"
                   " nbf = ?, exp = ?, updated = ? WHERE id = ?");
    bind_attributes(st, r);
    sqlite3_bind_int64(st, 6, r->updated);
    sqlite3_bind_int64(st, 7, r->version_id);
    return run(s, st, e);
}

int ml_dv_store_set_state(ml_dv_store *s, const ml_dv_record *r, ml_err *e)
{
    sqlite3_stmt *st = prepare(
        s, "UPDATE secrets SET deleted = ?, purge = ?, busy_until_ms = ? WHERE id = ?");
    sqlite3_bind_int64(st, 1, r->deleted);
    sqlite3_bind_int64(st, 2, r->purge);
    sqlite3_bind_int64(st, 3, r->busy_until_ms);
    sqlite3_bind_int64(st, 4, r->secret_id);
    return run(s, st, e);
}

int ml_dv_store_purge(ml_dv_store *s, const ml_dv_record *r, ml_err *e)
{
    sqlite3_stmt *st = prepare(s, "DELETE FROM secrets WHERE id = ?");
    sqlite3_bind_int64(st, 1, r->secret_id);
    return run(s, st, e);
}

/* Gives every row to `each`, then ends the statement. */
static int walk(ml_dv_store *s, sqlite3_stmt *st, ml_dv_store_each *each, void *arg,
                ml_err *e)
{
    ml_dv_record r;
    ml_dv_record_init(&r);
    int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
    bool more = true;
    while (rc == SQLITE_ROW && more) {
        read_row(st, &r);
        more = each(arg, &r);
        if (more) rc = sqlite3_step(st);
    }
    int result = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : failed(s, e);
    sqlite3_finalize(st);
    ml_dv_record_fini(&r);
    return result;
}

int ml_dv_store_list(ml_dv_store *s, const char *vault, bool deleted, const char *after,
                     int limit, ml_dv_store_each *each, void *arg, ml_err *e)
{
    sqlite3_stmt *st =
        prepare(s, COLUMNS NEWEST
                "WHERE s.vault = ? AND (s.deleted != 0) = ? AND s.name > ?"
                " ORDER BY s.name LIMIT ?");
    bind_text(st, 1, vault);
    sqlite3_bind_int(st, 2, deleted);
    bind_text(st, 3, after);
    sqlite3_bind_int(st, 4, limit);
    return walk(s, st, each, arg, e);
}

int ml_dv_store_versions(ml_dv_store *s, const char *vault, const char *name,
                         int64_t after, int limit, ml_dv_store_each *each, void *arg,
                         ml_err *e)
{
    sqlite3_stmt *st =
        prepare(s, COLUMNS "v.secret = s.id WHERE s.vault = ? AND s.name = ?"
                           " AND s.deleted = 0 AND v.id > ?"
                           " ORDER BY v.id LIMIT ?");
    bind_text(st, 1, vault);
    bind_text(st, 2, name);
    sqlite3_bind_int64(st, 3, after);
    sqlite3_bind_int(st, 4, limit);
    return walk(s, st, each, arg, e);
}
