/* SPDX-License-Identifier: Apache-2.0 */
#include "store/version.h"

#include <pthread.h>
#include <stdio.h>

#include <sqlite3.h>

static char text[64];

static void make_text(void)
{
    snprintf(text, sizeof text, "SQLite %s", sqlite3_libversion());
}

const char *t3d_store_libraries(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_text);
    return text;
}
