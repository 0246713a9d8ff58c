/* test_files.c - policies as files, directories and files of teams: what is read, and
 * what is not. */
#include "policy_dir.h"
#include "script/bind_files.h"

#define RULE(name, key)                                                                \
    HEAD "return ml.policy { ml.rule { names = { ['" name "'] = '" key "' }, "         \
         "from = ml.environment {} } }\n"
#define TEAM(file)                                                                     \
    HEAD "return ml.policy { ml.team 'a' { confine = 'a/**', file = '" file "', "      \
         "allow = 'environment' } }\n"

/* The order of bytes decides; hidden files, other files and folders are left out. */
static void test_directory(void **state)
{
    (void)state;
    write_file("b.lua", RULE("x", "TWO"));
    write_file("a.lua", RULE("x", "ONE"));
    write_file("c.lua", RULE("y", "TWO"));
    write_file(".hidden.lua", "no Lua");
    write_file("README", "no Lua");
    assert_int_equal(mkdir(at("teams"), 0700), 0);
    ml_resolver *r = must_open(policy_dir);
    must_get(r, "x", "first");
    must_get(r, "y", "second");
    ml_close(r);
    char slash[80];
    snprintf(slash, sizeof(slash), "%s/", policy_dir);
    ml_close(must_open(slash));
}

static void test_directory_refused(void **state)
{
    (void)state;
    must_refuse(policy_dir, "the directory has no policy");
    write_file("a.lua", RULE("x", "ONE"));
    write_file("b.lua", "\n\nx = = 1\n");
    must_refuse(policy_dir, "b.lua:3:");
    must_refuse(policy_dir, policy_dir);
    unlink(at("b.lua"));
    assert_int_equal(mkdir(at("d.lua"), 0700), 0);
    must_refuse(policy_dir, "d.lua cannot be read: it is not a regular file");
    rmdir(at("d.lua"));
    assert_int_equal(symlink("/nonexistent", at("link.lua")), 0);
    must_refuse(policy_dir, "link.lua cannot be read");
}

/* As Kubernetes mounts them: the names are links to a folder beside them. */
static void test_links_within(void **state)
{
    (void)state;
    assert_int_equal(mkdir(at("data"), 0700), 0);
    write_file("data/a.lua", RULE("x", "ONE"));
    assert_int_equal(symlink("data/a.lua", at("a.lua")), 0);
    ml_resolver *r = must_open(policy_dir);
    must_get(r, "x", "first");
    ml_close(r);
}

static void test_links_out(void **state)
{
    (void)state;
    write_file("policy.lua", TEAM("teams/out"));
    assert_int_equal(mkdir(at("teams"), 0700), 0);
    assert_int_equal(symlink("/etc/hostname", at("teams/out")), 0);
    must_refuse(at("policy.lua"), "not below the directory of the policy");
    unlink(at("teams/out"));
    assert_int_equal(symlink("../../etc/hostname", at("teams/out")), 0);
    must_refuse(at("policy.lua"), "not below the directory of the policy");
    write_file("policy.lua", TEAM("../../etc/hostname"));
    must_refuse(at("policy.lua"), "not below the directory of the policy");
    write_file("policy.lua", TEAM("teams/../../../etc/hostname"));
    must_refuse(at("policy.lua"), "not below the directory of the policy");
    write_file("policy.lua", TEAM("/etc/hostname"));
    must_refuse(at("policy.lua"), "not below the directory of the policy");
}

static void test_teams_file(void **state)
{
    (void)state;
    write_file("policy.lua", TEAM("teams/a.lua"));
    assert_int_equal(mkdir(at("teams"), 0700), 0);
    must_refuse(at("policy.lua"), "teams/a.lua cannot be read: No such file");
    write_file("teams/a.lua", RULE("a/x", "ONE"));
    ml_resolver *r = must_open(at("policy.lua"));
    must_get(r, "a/x", "first");
    ml_close(r);
    write_file("policy.lua", TEAM("teams/pipe"));
    assert_int_equal(mkfifo(at("teams/pipe"), 0600), 0);
    must_refuse(at("policy.lua"), "it is not a regular file");
    write_file("policy.lua", TEAM("teams"));
    must_refuse(at("policy.lua"), "it is not a regular file");
}

/* Relative to the file, also when the path of the policy itself is relative. */
static void test_relative_paths(void **state)
{
    (void)state;
    char before[512];
    assert_non_null(getcwd(before, sizeof(before)));
    write_file("policy.lua", TEAM("teams/a.lua"));
    assert_int_equal(mkdir(at("teams"), 0700), 0);
    write_file("teams/a.lua", RULE("a/x", "ONE"));
    assert_int_equal(chdir(policy_dir), 0);
    ml_resolver *r = must_open("policy.lua");
    assert_int_equal(chdir(before), 0);
    ml_err e;
    assert_int_equal(ml_reload(r, &e), 0); /* from where it was opened */
    must_get(r, "a/x", "first");
    ml_close(r);
}

static void test_size(void **state)
{
    (void)state;
    FILE *f = fopen(at("policy.lua"), "we");
    assert_non_null(f);
    fputs(RULE("x", "ONE"), f);
    for (int i = 0; i < 1024; i++) fprintf(f, "--%1021d\n", i);
    fclose(f);
    must_refuse(at("policy.lua"), "larger than 1 MiB");
    must_refuse(policy_dir, "larger than 1 MiB");
}

/* Each file has a budget of its own, and one that was exceeded stays so. */
static void test_budgets(void **state)
{
    (void)state;
    static const char much[] =
        HEAD "for _ = 1, 60000 do end return ml.policy { ml.deny 'x' }\n";
    write_file("a.lua", much);
    write_file(
        "b.lua", HEAD
        "pcall(function() ml.team 'a' { confine = 'a', file = 'teams/a.lua' } end)\n"
        "for _ = 1, 60000 do end\n"
        "return ml.policy { ml.team 'b' { confine = 'b', file = 'teams/a.lua' } }\n");
    assert_int_equal(mkdir(at("teams"), 0700), 0);
    write_file("teams/a.lua", much);
    ml_resolver *r = NULL;
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT, .policy_file = policy_dir,
                    .lua_max_instructions = 100000, .lua_deadline_ms = 60000};
    if (ml_open(&r, &o, &e) != 0) fail_msg("%s", e.text);
    ml_close(r);
    write_file("teams/a.lua", "\nwhile true do pcall(error) end");
    assert_int_equal(ml_open(&r, &o, &e), ML_EPOLICY);
    assert_non_null(strstr(e.text, "teams/a.lua:2: the policy ran too long"));
}

/* The way without openat2: links are refused, all else is the same. */
static void test_walk_below(void **state)
{
    (void)state;
    assert_int_equal(mkdir(at("teams"), 0700), 0);
    write_file("teams/a.lua", "text");
    assert_int_equal(symlink("a.lua", at("teams/in")), 0);
    assert_int_equal(symlink("teams", at("link.lua")), 0);
    int dir = open(policy_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    static const char *const fine[] = {"teams/a.lua", "teams//a.lua", "./teams/a.lua"};
    for (size_t i = 0; i < 3; i++) {
        int fd = ml_script_walk_below(dir, fine[i]);
        assert_true(fd >= 0);
        close(fd);
    }
    assert_int_equal(ml_script_walk_below(dir, "teams/in"), -1);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(ml_script_walk_below(dir, "link.lua/a.lua"), -1);
    assert_int_equal(ml_script_walk_below(dir, "none/a.lua"), -1);
    assert_int_equal(errno, ENOENT);
    close(dir);
}

#define WITH_DIR(test)                                                                 \
    cmocka_unit_test_setup_teardown(test, make_policy_dir, remove_policy_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(test_directory),    WITH_DIR(test_directory_refused),
        WITH_DIR(test_links_within), WITH_DIR(test_links_out),
        WITH_DIR(test_teams_file),   WITH_DIR(test_relative_paths),
        WITH_DIR(test_size),         WITH_DIR(test_walk_below),
        WITH_DIR(test_budgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
