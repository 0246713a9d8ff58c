/* budget_home.h - a directory for shared budgets, made by a test and removed with all
 * that is in it. */
#pragma once
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "io/budget_dir.h"

static char dir_path[64];
static ml_budget_dir *dir;

static inline int remove_one(const char *path, const struct stat *st, int kind,
                             struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline int make_home(void)
{
    ml_err e;
    snprintf(dir_path, sizeof(dir_path), "/tmp/moonlatch-budget-XXXXXX");
    return mkdtemp(dir_path) ? ml_budget_dir_open(&dir, dir_path, &e) : -1;
}

static inline int remove_home(void)
{
    ml_budget_dir_close(dir);
    return nftw(dir_path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
