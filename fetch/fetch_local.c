/* SPDX-License-Identifier: Apache-2.0 */
/* t3d fetch local: files and folders. */
#include <string.h>

#include "fetch/fetch.h"
#include "geom/import.h"

struct conf {
    struct t3d_common common;
    const char *captions, *license, *dataset, *uid_from;
};

static const struct t3d_opt opts[] = {
    {0, "captions", T3D_OPT_STRING, offsetof(struct conf, captions), "FILE", NULL, NULL,
     "captions, licences and ids: csv, json or ndjson, matched by uid, path or sha256"},
    {0, "license", T3D_OPT_STRING, offsetof(struct conf, license), "L", NULL, NULL,
     "licence of objects to which --captions gives none (SPDX identifier)"},
    {0, "dataset", T3D_OPT_STRING, offsetof(struct conf, dataset), "NAME", NULL, NULL,
     "name of the data set in the manifest; else that of --captions, else local"},
    {0, "uid-from", T3D_OPT_STRING, offsetof(struct conf, uid_from), "WHAT", "content",
     "content name",
     "uid of an object: from its content, or the file's name without ending, as in Objaverse"},
    {0}};

static int run(void *conf, struct t3d_err *err)
{
    struct conf *c = conf;
    struct t3d_fetch f = {.common = &c->common, .names = fetch_names, .unpacker = fetch_unpacker};
    struct t3d_fetch_local local = {.paths = &c->common.operands,
                                    .captions = c->captions,
                                    .license = c->license,
                                    .dataset = c->dataset,
                                    .uid_from_name = strcmp(c->uid_from, "name") == 0,
                                    .open = t3d_import_resolve_folder};

    return t3d_fetch_close(&f, t3d_fetch_local(&f, &local, err));
}

const struct t3d_command fetch_local = {.name = "local",
                                        .operands = "PATH...",
                                        .summary = "take 3D files from files, folders and archives",
                                        .opts = opts,
                                        .conf_size = sizeof(struct conf),
                                        .run = run};
