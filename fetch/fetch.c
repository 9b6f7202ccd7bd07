/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-fetch: put 3D objects into a workspace, from folders, from addresses or from the built-in
 * world; and weights of networks. */
#include "base/file.h"
#include "base/tool.h"
#include "base/walk.h"
#include "fetch/fetch.h"
#include "geom/import.h"
#include "geom/names.h"
#include "geom/read.h"

static struct t3d_importer *importer;
struct t3d_unpacker *fetch_unpacker;

static int before(int threads, struct t3d_err *err)
{
    int r = t3d_importer_open(&importer, threads, NULL, err);

    return r < 0 ? r : t3d_unpacker_open(&fetch_unpacker, threads, NULL, err);
}

int fetch_names(int thread, const char *path, const char *ending, struct t3d_gather *files,
                struct t3d_err *err)
{
    struct t3d_imported in;
    struct t3d_blob b;
    int may, r;

    if (t3d_ending_in(path, "ply stl off"))
        return T3D_OK;
    r = t3d_blob_open(&b, path, 0, err);
    if (r < 0)
        return r;
    may = t3d_may_name_files(b.data, b.size, ending);
    t3d_blob_close(&b);
    if (!may)
        return T3D_OK;
    r = t3d_import(importer, thread, path, t3d_gather_resolve, files, T3D_READ_NAMES, &in, err);
    if (r == T3D_OK)
        t3d_imported_close(&in);
    return r;
}

static const struct t3d_command *const commands[] = {&fetch_local,      &fetch_urls,
                                                     &fetch_objaverse,  &fetch_objaverse_xl,
                                                     &fetch_cap3d,      &fetch_primitives,
                                                     &fetch_weights,    &fetch_shapenet,
                                                     &fetch_modelnet40, &fetch_mcb,
                                                     &fetch_abc,        &fetch_front3d,
                                                     &fetch_sketchfab,  NULL};

static const struct t3d_tool tool = {
    .name = "fetch",
    .summary = "put 3D objects into a workspace",
    .about =
        "Objects are copied into the workspace's content store and entered in its manifest, "
        "numbered in the "
        "bytewise order of their paths. A second run looks only at what has changed; an "
        "interrupted one "
        "goes on where it ended.\n\n"
        "local takes .glb, .gltf, .obj, .ply, .stl, .off, .fbx, .dae, .3ds and .3mf, also inside "
        ".zip, .7z, .tar and "
        "compressed .tar files. Below folders other files and hidden names are "
        "passed over and counted. The .bin, .mtl and pictures that a file names are copied "
        "with it; they "
        "have to lie in its folder or below. A missing picture is a measure of filter, a "
        "missing .bin makes "
        "the object fail with missing-file. Of a .gltf fetch reads the JSON, since the names "
        "are there, and "
        "a broken one fails here; whatever else is wrong with a file is for filter to say.\n\n"
        "The uid of an object is the one that --captions gives to its path or sha256, else "
        "the first 32 "
        "hexadecimal digits of its content hash. The same content at a second path is one "
        "object with two "
        "sources; a second given uid for it is rejected as duplicate-of UID. A changed file "
        "is a new object, "
        "and the old one is marked modified.\n\n"
        "objaverse and objaverse-xl choose from the data set's own index and fetch as urls does; "
        "cap3d gives the objects that are there its captions. Index files stay in lists/ of the "
        "workspace. Other data sets are given on request, or to people only: their names say how "
        "to take them.\n\n"
        "primitives makes objects from the seed: the same world, seed and index give the same "
        "file.\n\n"
        "weights puts the files of a network into models/NAME of the workspace, where t3d embed "
        "finds them. They are checked against the SHA-256 of the catalogue where it is known for "
        "certain, else against the one that the server gives; source.json beside them says which. "
        "An interrupted run goes on where it was.",
    .commands = commands,
    .before = before};

int main(int argc, char **argv)
{
    int r = t3d_tool_main(&tool, argc, argv);

    t3d_unpacker_close(fetch_unpacker);
    t3d_importer_close(importer);
    return r;
}
