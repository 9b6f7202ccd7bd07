/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/sandbox_impl.h"
#include "geom/import_impl.h"
#include "geom/read.h"

static struct t3d_importer *im;
static char folder[] = "/tmp/t3d-import-XXXXXX";

static const char quad[] =
    "mtllib q.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nusemtl red\nf 1 2 3 4\n";

static char *path_of(const char *name)
{
    static _Thread_local char path[2][256];
    static _Thread_local int turn;

    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void put(const char *name, const void *data, size_t n)
{
    assert_int_equal(t3d_write_file(path_of(name), data, n, NULL), T3D_OK);
}

static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

/* An OBJ of n separate triangles. */
static void put_large(const char *name, const char *head, int n)
{
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    fputs(head, f);
    for (int i = 0; i < n; i++)
        fprintf(f, "v %d 0 0\nv %d 1 0\nv %d 0 1\nf -3 -2 -1\n", i, i, i);
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    put_text("quad.obj", quad);
    put_text("q.mtl", "newmtl red\nKd 1 0 0\n");
    return t3d_importer_open(&im, 3, NULL, NULL);
}

static int teardown(void **state)
{
    char command[300];

    (void)state;
    t3d_importer_close(im);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static int import(const char *name, struct t3d_imported *out, struct t3d_err *err)
{
    return t3d_import(im, 0, path_of(name), t3d_import_resolve_folder, folder, 0, out, err);
}

static void assert_skip(int r, const struct t3d_err *err, const char *reason)
{
    assert_int_equal(r, T3D_SKIP);
    assert_string_equal(err->reason, reason);
}

static void a_file_and_its_material_come_through(void **state)
{
    struct t3d_imported i;
    struct t3d_err err;

    (void)state;
    assert_int_equal(import("quad.obj", &i, &err), T3D_OK);
    assert_int_equal(i.scene.n_vertices, 4);
    assert_int_equal(i.scene.n_triangles, 2);
    assert_int_equal(i.scene.n_materials, 1);
    assert_true(i.scene.material[0].base[0] == 1 && i.scene.material[0].base[1] == 0);
    t3d_imported_close(&i);
    t3d_imported_close(&i);
}

/* What comes through the wall is what the reader says without it. */
static void the_wall_changes_nothing(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_imported i;
    struct t3d_scene s;
    struct t3d_blob b;
    struct t3d_err err;
    struct t3d_source src = {.name = "large.obj"};

    (void)state;
    put_large("large.obj", "", 5000);
    assert_int_equal(t3d_blob_open(&b, path_of("large.obj"), 0, &err), T3D_OK);
    src.data = b.data;
    src.size = b.size;
    assert_int_equal(t3d_read_scene(&s, &a, &src, 0, &err), T3D_OK);
    assert_int_equal(import("large.obj", &i, &err), T3D_OK);
    assert_int_equal(i.scene.n_vertices, 15000);
    assert_int_equal(s.n_vertices, 15000);
    assert_memory_equal(i.scene.position, s.position, 15000 * sizeof *s.position);
    assert_memory_equal(i.scene.triangle, s.triangle, 5000 * sizeof *s.triangle);
    t3d_imported_close(&i);
    t3d_blob_close(&b);
    t3d_arena_free(&a);
}

static void bad_files_have_their_reasons(void **state)
{
    struct t3d_import_limits small = {.input_bytes = 1000};
    struct t3d_importer *own;
    struct t3d_imported i;
    struct t3d_err err;

    (void)state;
    assert_skip(import("absent.obj", &i, &err), &err, "missing-file");
    assert_int_equal(mkdir(path_of("d.obj"), 0777), 0);
    assert_skip(import("d.obj", &i, &err), &err, "not-a-file");
    assert_int_equal(mkfifo(path_of("pipe.obj"), 0666), 0);
    assert_skip(import("pipe.obj", &i, &err), &err, "not-a-file");
    put_text("empty.obj", "");
    assert_skip(import("empty.obj", &i, &err), &err, "unknown-format");
    put_text("page.glb", "<!DOCTYPE html><html></html>");
    assert_skip(import("page.glb", &i, &err), &err, "unknown-format");
    assert_non_null(strstr(err.msg, "HTML"));
    assert_int_equal(t3d_importer_open(&own, 1, &small, &err), T3D_OK);
    put_large("more.obj", "", 100);
    assert_skip(t3d_import(own, 0, path_of("more.obj"), NULL, NULL, 0, &i, &err), &err,
                "too-large");
    t3d_importer_close(own);
}

static void resolver_stays_in_the_folder(void **state)
{
    static const struct {
        const char *name, *reason;
    } refused[] = {
        {"../x", "unsafe-name"},          {"..", "unsafe-name"},
        {"a/../../x", "unsafe-name"},     {"/etc/passwd", "unsafe-name"},
        {"C:\\x", "unsafe-name"},         {"\\\\host\\x", "unsafe-name"},
        {"..\\x", "unsafe-name"},         {"", "unsafe-name"},
        {"a\nb", "unsafe-name"},          {"out", "unsafe-name"},
        {"outdir/passwd", "unsafe-name"}, {"loop", "unsafe-name"},
        {"none.png", "missing-file"},     {"sub", "not-a-file"},
        {"q.mtl/x", "missing-file"},
    };
    struct t3d_err err;
    int fd;

    (void)state;
    assert_int_equal(symlink("/etc/passwd", path_of("out")), 0);
    assert_int_equal(symlink("/etc", path_of("outdir")), 0);
    assert_int_equal(symlink("loop", path_of("loop")), 0);
    assert_int_equal(symlink("q.mtl", path_of("inside")), 0);
    assert_int_equal(mkdir(path_of("sub"), 0777), 0);
    assert_int_equal(symlink("../q.mtl", path_of("sub/up")), 0);
    put_text("sub/..x", "x");
    for (size_t i = 0; i < T3D_COUNT(refused); i++) {
        fd = t3d_import_resolve_folder(folder, refused[i].name, &err);
        assert_int_equal(fd, -1);
        assert_int_equal(err.code, T3D_SKIP);
        assert_string_equal(err.reason, refused[i].reason);
    }
    for (int i = 0; i < 4; i++) {
        static const char *const good[] = {"q.mtl", "inside", "sub/up", "sub/..x"};
        fd = t3d_import_resolve_folder(folder, good[i], &err);
        assert_true(fd >= 0);
        close(fd);
    }
}

/* Truncates the main file while the child has it mapped. */
static int truncate_main(void *ctx, const char *name, struct t3d_err *err)
{
    assert_string_equal(name, "q.mtl");
    assert_int_equal(truncate(ctx, 0), 0);
    return t3d_err_set(err, T3D_SKIP, "missing-file", "gone");
}

static void a_crash_is_a_reason(void **state)
{
    struct t3d_imported i;
    struct t3d_err err;

    (void)state;
    put_large("cut.obj", "mtllib q.mtl\n", 20000); /* large enough to be mapped */
    assert_skip(
        t3d_import(im, 0, path_of("cut.obj"), truncate_main, path_of("cut.obj"), 0, &i, &err), &err,
        "parser-crashed");
    assert_int_equal(import("quad.obj", &i, &err), T3D_OK);
    t3d_imported_close(&i);
}

static void a_crash_fails_its_own_object_only(void **state)
{
    struct t3d_imported i;
    struct t3d_err err;

    (void)state;
    for (int k = 0; k < 10; k++) {
        if (k == 6) {
            put_large("cut.obj", "mtllib q.mtl\n", 20000);
            assert_skip(t3d_import(im, 0, path_of("cut.obj"), truncate_main, path_of("cut.obj"), 0,
                                   &i, &err),
                        &err, "parser-crashed");
            continue;
        }
        assert_int_equal(import("quad.obj", &i, &err), T3D_OK);
        t3d_imported_close(&i);
    }
}

/* Keeps the first result in its hands; a second call in the same process would give none. */
static int hold(struct t3d_sandbox_child *c, void *ctx)
{
    static int calls;
    char request[T3D_SANDBOX_MESSAGE], *p;
    int fds[T3D_SANDBOX_FDS];

    (void)ctx;
    if (t3d_sandbox_child_receive(c, request, sizeof request, fds) < 0)
        return 1;
    if (calls++)
        return 0;
    if (ftruncate(fds[1], 8192) < 0)
        return 2;
    p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
    if (p == MAP_FAILED)
        return 3;
    p[0] = 1;
    return 0;
}

static void a_result_that_the_child_holds_is_refused(void **state)
{
    struct t3d_importer *own;
    struct t3d_imported i;
    struct t3d_err err;

    (void)state;
    assert_int_equal(t3di_importer_open(&own, 1, NULL, hold, &err), T3D_OK);
    if (!t3d_importer_has_seccomp(own)) {
        t3d_importer_close(own);
        skip(); /* the child has ended when the result is taken */
    }
    for (int k = 0; k < 5; k++) {
        assert_skip(t3d_import(own, 0, path_of("quad.obj"), NULL, NULL, 0, &i, &err), &err,
                    "parser-crashed");
        assert_non_null(strstr(err.msg, "hold"));
    }
    t3d_importer_close(own);
}

/* Every byte of a result is the same whatever the child has parsed before. */
static void nothing_goes_from_one_object_to_the_next(void **state)
{
    static const char *const name[] = {"quad.obj", "large.obj", "mixed.obj", "many.obj"};
    static const int order[] = {0, 1, 0, 2, 3, 2, 0, 1, 3, 3, 2, 1, 0, 2, 0};
    struct t3d_imported first[4], i;
    struct t3d_err err;

    (void)state;
    put_text("mixed.obj", "mtllib q.mtl\nv 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 1 1 0 0 0 1\nvt 0 1\n"
                          "vn 0 0 1\nusemtl red\nf 1/1/1 2/1/1 3/1/1\nusemtl blue\nf 1 2 3\n");
    put_large("large.obj", "", 5000);
    put_large("many.obj", "mtllib q.mtl\nusemtl red\n", 100);
    for (int k = 0; k < 4; k++) {
        struct t3d_importer *own; /* a child that has parsed nothing else */
        assert_int_equal(t3d_importer_open(&own, 1, NULL, &err), T3D_OK);
        assert_int_equal(t3d_import(own, 0, path_of(name[k]), t3d_import_resolve_folder, folder, 0,
                                    &first[k], &err),
                         T3D_OK);
        t3d_importer_close(own);
    }
    for (size_t k = 0; k < T3D_COUNT(order); k++) {
        const struct t3d_imported *f = &first[order[k]];
        assert_int_equal(import(name[order[k]], &i, &err), T3D_OK);
        assert_int_equal(i.map_size, f->map_size);
        assert_memory_equal(i.map, f->map, f->map_size);
        t3d_imported_close(&i);
    }
    for (int k = 0; k < 4; k++)
        t3d_imported_close(&first[k]);
}

static void time_and_memory_are_limited(void **state)
{
    struct t3d_import_limits l = {.wall_s = 0.01};
    struct t3d_importer *own;
    struct t3d_imported i;
    struct t3d_err err;

    (void)state;
    put_large("long.obj", "", 200000);
    assert_int_equal(t3d_importer_open(&own, 1, &l, &err), T3D_OK);
    l = (struct t3d_import_limits){.memory_bytes = 8u << 20};
    assert_skip(t3d_import(own, 0, path_of("long.obj"), NULL, NULL, 0, &i, &err), &err,
                "parser-timeout");
    assert_int_equal(t3d_import(own, 0, path_of("quad.obj"), NULL, NULL, 0, &i, &err), T3D_OK);
    t3d_imported_close(&i);
    t3d_importer_close(own);
    assert_int_equal(t3d_importer_open(&own, 1, &l, &err), T3D_OK);
    assert_int_equal(t3d_import(own, 0, path_of("long.obj"), NULL, NULL, 0, &i, &err), T3D_SKIP);
    assert_true(strcmp(err.reason, "parser-memory") == 0 || strcmp(err.reason, "too-large") == 0);
    t3d_importer_close(own);
    l = (struct t3d_import_limits){.output_bytes = 1u << 20};
    assert_int_equal(t3d_importer_open(&own, 1, &l, &err), T3D_OK);
    assert_skip(t3d_import(own, 0, path_of("long.obj"), NULL, NULL, 0, &i, &err), &err,
                "too-large");
    t3d_importer_close(own);
}

static int count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Processes that descend from this one. */
static int count_processes(void)
{
    static struct {
        int pid, parent;
    } all[4096];
    int family[64] = {getpid()}, n_all = 0, n = 1;
    DIR *d = opendir("/proc");
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d)) && n_all < 4096) {
        char path[300], line[512] = "", *s;
        FILE *f;
        snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
        f = e->d_name[0] >= '0' && e->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (!f)
            continue;
        s = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
        fclose(f);
        if (s && sscanf(s, ") %*c %d", &all[n_all].parent) == 1)
            all[n_all++].pid = (int)strtol(e->d_name, NULL, 10);
    }
    closedir(d);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n_all && n < 64; k++)
            if (all[k].parent == family[i])
                family[n++] = all[k].pid;
    return n;
}

static void a_thousand_imports_leak_nothing(void **state)
{
    struct t3d_imported i;
    struct t3d_err err;
    int descriptors, processes;

    (void)state;
    assert_int_equal(import("quad.obj", &i, &err), T3D_OK);
    t3d_imported_close(&i);
    descriptors = count_descriptors();
    processes = count_processes();
    for (int k = 0; k < 1000; k++) {
        const char *name = k % 10 == 0 ? "absent.obj" : k % 10 == 1 ? "page.glb" : "quad.obj";
        int r = import(name, &i, &err);
        assert_int_equal(r, k % 10 < 2 ? T3D_SKIP : T3D_OK);
        if (r == T3D_OK)
            t3d_imported_close(&i);
    }
    assert_int_equal(count_descriptors(), descriptors);
    /* A zygote may be between a dead child and its next one. */
    assert_in_range(count_processes(), processes - 1, processes + 1);
}

static int collect(void *ctx, const char *name, struct t3d_err *err)
{
    char *list = ctx;
    size_t n = strlen(list);

    snprintf(list + n, 200 - n, "%s|", name);
    return t3d_import_resolve_folder(folder, name, err);
}

static void names_of_external_files_are_told(void **state)
{
    struct t3d_imported i;
    struct t3d_err err;
    char list[200] = "";

    (void)state;
    put_text("names.obj", "mtllib two names.mtl\nv 0 0 0\n");
    put_text("two names.mtl", "newmtl a\nmap_Kd -s 2 2 2 a b.png\nnewmtl b\nmap_Kd a b.png\n"
                              "norm n.png\n");
    assert_int_equal(
        t3d_import(im, 0, path_of("names.obj"), collect, list, T3D_READ_NAMES, &i, &err), T3D_OK);
    assert_string_equal(list, "two names.mtl|a b.png|n.png|");
    assert_int_equal(i.scene.n_triangles, 0);
    t3d_imported_close(&i);
}

static void *many(void *thread)
{
    for (int k = 0; k < 100; k++) {
        struct t3d_imported i;
        struct t3d_err err;
        if (t3d_import(im, (int)(intptr_t)thread, path_of("quad.obj"), t3d_import_resolve_folder,
                       folder, 0, &i, &err) != T3D_OK)
            return im;
        if (i.scene.n_triangles != 2)
            return im;
        t3d_imported_close(&i);
    }
    return NULL;
}

static void threads_import_at_once(void **state)
{
    pthread_t t[3];
    void *bad;

    (void)state;
    for (intptr_t k = 0; k < 3; k++)
        assert_int_equal(pthread_create(&t[k], NULL, many, (void *)k), 0);
    for (int k = 0; k < 3; k++) {
        pthread_join(t[k], &bad);
        assert_null(bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_and_its_material_come_through),
        cmocka_unit_test(the_wall_changes_nothing),
        cmocka_unit_test(bad_files_have_their_reasons),
        cmocka_unit_test(resolver_stays_in_the_folder),
        cmocka_unit_test(a_crash_is_a_reason),
        cmocka_unit_test(a_crash_fails_its_own_object_only),
        cmocka_unit_test(a_result_that_the_child_holds_is_refused),
        cmocka_unit_test(nothing_goes_from_one_object_to_the_next),
        cmocka_unit_test(time_and_memory_are_limited),
        cmocka_unit_test(a_thousand_imports_leak_nothing),
        cmocka_unit_test(names_of_external_files_are_told),
        cmocka_unit_test(threads_import_at_once),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
