/* SPDX-License-Identifier: Apache-2.0 */
/* FBX, COLLADA, 3DS and 3MF by assimp. The library is loaded only where it is used: in the
 * sandbox's zygotes for such files (t3d_read_other_load). It is given the main file's bytes and our
 * way to other files, and no other importer of its forty is reached, because the bytes are looked
 * at first. Post-processing steps are left out: what we need of them (fans, transforms, skins) is a
 * few lines, and each step is more code on hostile input. */
#include <assimp/cfileio.h>
#include <assimp/cimport.h>
#include <assimp/version.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "geom/mesh_impl.h"
#include "geom/other_impl.h"
#include "geom/read_impl.h"

#define FUNCTIONS(F)                                                                               \
    F(aiImportFileEx)                                                                              \
    F(aiReleaseImport)                                                                             \
    F(aiGetErrorString)                                                                            \
    F(aiGetVersionMajor)

static struct {
#define F(name) __typeof__(&(name)) name;
    FUNCTIONS(F)
#undef F
    int is_loaded;
    char why[160];
} library = {.why = "it is not loaded in this process"};

int t3d_read_other_load(void)
{
    void *h;
    int missing = 0;

    if (library.is_loaded)
        return 0;
    h = dlopen("libassimp.so.5", RTLD_NOW | RTLD_LOCAL);
    if (!h) {
        snprintf(library.why, sizeof library.why, "%s", dlerror());
        return -1;
    }
#define F(name)                                                                                    \
    library.name = (__typeof__(library.name))dlsym(h, #name);                                      \
    missing |= !library.name;
    FUNCTIONS(F)
#undef F
    /* The layout of its structs is that of the headers we were compiled with. */
    if (missing || library.aiGetVersionMajor() != 5)
        snprintf(library.why, sizeof library.why, "libassimp.so.5 is not assimp 5");
    else
        library.is_loaded = 1;
    return library.is_loaded ? 0 : -1;
}

/* --- its way to files
 * ----------------------------------------------------------------------------- */

struct file {
    struct aiFile f;
    const uint8_t *data;
    size_t size, at;
};

struct files {
    struct aiFileIO io;
    const struct t3d_source *src;
    struct t3d_arena *arena;
    char main[40];
    struct t3d_err err; /* code other than 0 and T3D_SKIP: why the read must end */
};

static size_t on_read(struct aiFile *f, char *out, size_t size, size_t n)
{
    struct file *m = (struct file *)(void *)f->UserData;
    size_t most = size ? (m->size - m->at) / size : 0;

    n = T3D_MIN(n, most);
    memcpy(out, m->data + m->at, n * size);
    m->at += n * size;
    return n;
}

static size_t on_write(struct aiFile *f, const char *data, size_t size, size_t n)
{
    (void)f;
    (void)data;
    (void)size;
    (void)n;
    return 0;
}

static size_t on_tell(struct aiFile *f)
{
    return ((struct file *)(void *)f->UserData)->at;
}

static size_t on_size(struct aiFile *f)
{
    return ((struct file *)(void *)f->UserData)->size;
}

static aiReturn on_seek(struct aiFile *f, size_t offset, enum aiOrigin origin)
{
    struct file *m = (struct file *)(void *)f->UserData;
    size_t from = origin == aiOrigin_SET ? 0 : origin == aiOrigin_CUR ? m->at : m->size, to;

    /* Offsets from the end and backwards come as huge numbers: the sum wraps around. */
    to = from + offset;
    if (to > m->size)
        return aiReturn_FAILURE;
    m->at = to;
    return aiReturn_SUCCESS;
}

static void on_flush(struct aiFile *f)
{
    (void)f;
}

static struct aiFile *on_open(struct aiFileIO *io, const char *name, const char *mode)
{
    struct files *all = (struct files *)(void *)io->UserData;
    struct t3d_blob b = {.data = all->src->data, .size = all->src->size};
    struct file *m;
    int r = T3D_OK;

    if (!name || !mode || *mode != 'r' || all->err.code)
        return NULL;
    while (name[0] == '.' && (name[1] == '/' || name[1] == '\\'))
        name += 2;
    if (strcmp(name, all->main) != 0)
        r = t3di_open_beside(all->src, all->arena, name, strlen(name), &b, &all->err);
    if (r != T3D_OK)
        return NULL;
    m = t3d_alloc(all->arena, 1, sizeof *m);
    if (!m) {
        t3di_no_room(all->arena, &all->err, "a file");
        return NULL;
    }
    m->data = b.data;
    m->size = b.size;
    m->f = (struct aiFile){.ReadProc = on_read,
                           .WriteProc = on_write,
                           .TellProc = on_tell,
                           .FileSizeProc = on_size,
                           .SeekProc = on_seek,
                           .FlushProc = on_flush,
                           .UserData = (char *)m};
    return &m->f;
}

static void on_close(struct aiFileIO *io, struct aiFile *f)
{
    (void)io;
    (void)f;
}

/* --- which format
 * --------------------------------------------------------------------------------- */

static int has(const struct t3d_source *src, const char *word)
{
    return memmem(src->data, T3D_MIN(src->size, (size_t)8192), word, strlen(word)) != NULL;
}

static int is_3ds(const struct t3d_source *src)
{
    /* The main chunk (Autodesk, "3D Studio File Format", 1.0): 0x4D4D, and its length. */
    return src->size > 6 && src->data[0] == 0x4d && src->data[1] == 0x4d;
}

/* assimp goes by the ending alone: it gets the one that the bytes have. */
static const char *format_of(const struct t3d_source *src)
{
    const char *ending = src->name ? t3d_path_ending(src->name) : "";

    if (has(src, "Kaydara FBX Binary") || has(src, "FBXHeaderExtension"))
        return "fbx";
    if (has(src, "<COLLADA"))
        return "dae";
    if (is_3ds(src) && strcasecmp(ending, "3ds") == 0)
        return "3ds";
    if (src->size > 4 && memcmp(src->data, "PK\3\4", 4) == 0 && strcasecmp(ending, "3mf") == 0)
        return "3mf";
    return NULL;
}

int t3di_is_other(const struct t3d_source *src)
{
    return format_of(src) != NULL;
}

/* --- read
 * ----------------------------------------------------------------------------------------- */

static int failed(const struct files *all, const char *format, struct t3d_err *err)
{
    const char *text = library.aiGetErrorString();
    char plain[200];

    if (all->err.code && all->err.code != T3D_SKIP) {
        *err = all->err;
        return all->err.code;
    }
    t3di_copy_printable(plain, sizeof plain, text && *text ? text : "no reason given");
    return t3d_err_set(err, T3D_SKIP, "bad-file", "the %s file cannot be read: %s", format, plain);
}

static int map(struct t3di_other *o, struct t3d_err *err)
{
    int r = t3di_other_materials(o, err);

    if (r == T3D_OK && !(o->flags & T3D_READ_NAMES))
        r = t3di_other_meshes(o, err);
    return r;
}

int t3d_read_other(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                   unsigned flags, struct t3d_err *err)
{
    const char *format = format_of(src);
    struct files all = {.src = src, .arena = a};
    struct t3di_other o = {.s = s, .a = a, .src = src, .flags = flags};
    struct t3d_err why = {.value = NAN};
    int r;

    memset(s, 0, sizeof *s);
    if (!format)
        return t3d_err_set(err, T3D_SKIP, "unknown-format", "the file is not what its ending says");
    if (!library.is_loaded)
        return t3d_err_set(err, T3D_SKIP, "no-library",
                           "%s files need libassimp.so.5, and %s: apt-get install libassimp5",
                           format, library.why);
    snprintf(all.main, sizeof all.main, "object.%s", format);
    all.io = (struct aiFileIO){on_open, on_close, (char *)&all};
    o.ai = library.aiImportFileEx(all.main, 0, &all.io);
    snprintf(s->notes.format, sizeof s->notes.format, "%s", format);
    if (!o.ai)
        return failed(&all, format, err ? err : &why);
    r = map(&o, err);
    library.aiReleaseImport(o.ai);
    return r;
}
