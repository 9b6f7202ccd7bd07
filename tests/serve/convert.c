/* SPDX-License-Identifier: Apache-2.0 */
/* convert FORMAT IN OUT: a 3D file by assimp into another format (fbx, fbxa, collada, 3ds, 3mf,
 * x3d, ...). Exit 77 when there is no assimp. */
#include <assimp/cexport.h>
#include <assimp/cimport.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static void *library;

static void *function(const char *name)
{
    void *f = dlsym(library, name);

    if (!f)
        exit(77);
    return f;
}
#define F(name) ((__typeof__(&(name)))function(#name))

int main(int argc, char **argv)
{
    const struct aiScene *s;

    if (argc != 4)
        return 2;
    library = dlopen("libassimp.so.5", RTLD_NOW);
    if (!library)
        return 77;
    s = F(aiImportFile)(argv[2], 0);
    if (!s || F(aiExportScene)(s, argv[1], argv[3], 0) != aiReturn_SUCCESS) {
        fprintf(stderr, "convert: %s\n", F(aiGetErrorString)());
        return 1;
    }
    F(aiReleaseImport)(s);
    return 0;
}
