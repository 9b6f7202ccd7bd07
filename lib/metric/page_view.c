/* SPDX-License-Identifier: Apache-2.0 */
/* Of a page: the viewer, and the objects that it shows. */
#include <string.h>

#include "metric/page_impl.h"
#include "metric/page_object.h"

static void put_numbers(FILE *f, const char *name, const float *v, size_t n)
{
    fprintf(f, " data-%s=\"", name);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%s%.9g", i ? " " : "", (double)v[i]);
    fputs("\"", f);
}

static void put_attribute(FILE *f, const char *name, const char *text)
{
    fprintf(f, " data-%s=\"", name);
    t3di_put_text(f, text);
    fputs("\"", f);
}

static void put_draws(FILE *f, const struct t3d_page_object *o)
{
    fputs(" data-draws=\"", f);
    for (size_t i = 0; i < o->n_draws; i++) {
        const struct t3d_page_draw *d = &o->draw[i];

        fprintf(f, "%u %u %d %.6g %.6g %.6g %.6g %.6g %d %d;", d->first, d->count, d->texture,
                (double)d->factor[0], (double)d->factor[1], (double)d->factor[2],
                (double)d->factor[3], (double)d->cutoff, d->flat, d->blended);
    }
    fputs("\"", f);
}

/* The first other object of that name: the reference beside a prediction. */
static size_t other_of(const struct t3d_page *p, size_t i)
{
    for (size_t k = 0; k < p->n_objects; k++)
        if (k != i && strcmp(p->object[k].name, p->object[i].name) == 0)
            return k;
    return p->n_objects;
}

static void put_block(FILE *f, const struct t3d_page *p, size_t i)
{
    const struct t3d_page_object *o = &p->object[i];
    size_t other = other_of(p, i);

    fputs("<script type=\"application/octet-stream\" class=object", f);
    put_attribute(f, "name", o->name);
    put_attribute(f, "about", o->about);
    fprintf(f, " data-kind=%s data-n=%zu", o->splats ? "splats" : "mesh", o->n);
    if (other < p->n_objects)
        fprintf(f, " data-other=%zu", other);
    put_numbers(f, "lo", o->lo, 3);
    put_numbers(f, "size", o->extent, 3);
    if (o->splats) {
        put_numbers(f, "scale", o->scale, 2);
    } else {
        put_numbers(f, "uv", o->uv, 4);
        put_draws(f, o);
    }
    fputs(">", f);
    t3di_put_base64(f, o->data, o->size);
    fputs("</script>\n", f);
    for (size_t k = 0; k < o->n_textures; k++) {
        fprintf(f, "<script type=\"application/octet-stream\" class=texture data-object=%zu>", i);
        t3di_put_base64(f, o->texture[k].data, o->texture[k].size);
        fputs("</script>\n", f);
    }
}

/* "name", or "name (set)" where objects are from several. */
static void put_label(FILE *f, const struct t3d_page *p, size_t i)
{
    const struct t3d_page_object *o = &p->object[i];

    t3di_put_text(f, o->name);
    for (size_t k = 0; k < p->n_objects; k++)
        if (strcmp(p->object[k].set, o->set) != 0) {
            fputs(" (", f);
            t3di_put_text(f, o->set);
            fputs(")", f);
            break;
        }
}

static void put_poster(FILE *f, const struct t3d_page *p, size_t i, const char *class)
{
    fprintf(f, "<img%s alt=\"", class);
    put_label(f, p, i);
    fputs("\" src=\"data:image/png;base64,", f);
    t3di_put_base64(f, p->object[i].poster.data, p->object[i].poster.size);
    fputs("\">", f);
}

static void put_choice(FILE *f, const struct t3d_page *p, const char *name, const char *label,
                       int none)
{
    fprintf(f, "<label>%s <select data-do=%s>", label, name);
    if (none)
        fputs("<option value=-1>nothing</option>", f);
    for (size_t i = 0; i < p->n_objects; i++) {
        fprintf(f, "<option value=%zu>", i);
        put_label(f, p, i);
        fputs("</option>", f);
    }
    fputs("</select></label>\n", f);
}

static void put_bar(FILE *f, const struct t3d_page *p)
{
    fputs("<div class=bar>\n", f);
    put_choice(f, p, "object", "Object", 0);
    put_choice(f, p, "beside", "beside", 1);
    fputs("<label>Light <select data-do=light><option value=soft>soft</option><option value=flat>"
          "none</option></select></label>\n"
          "<label>Ground <select data-do=ground><option value=page>page</option><option value="
          "white>white</option><option value=grey>grey</option><option value=black>black</option>"
          "</select></label>\n"
          "<button type=button data-do=spin aria-pressed=false>Turn</button>\n"
          "<button type=button data-do=reset>Reset</button>\n"
          "<button type=button data-do=full aria-pressed=false>Whole window</button>\n</div>\n",
          f);
}

static void put_picks(FILE *f, const struct t3d_page *p)
{
    fputs("<div class=picks>\n", f);
    for (size_t i = 0; i < p->n_objects; i++) {
        fputs("<button type=button class=pick>", f);
        put_poster(f, p, i, "");
        fputs("<span>", f);
        put_label(f, p, i);
        fputs("</span></button>\n", f);
    }
    fputs("</div>\n", f);
}

void t3di_put_objects(FILE *f, const struct t3d_page *p)
{
    if (p->n_objects == 0 && !p->note)
        return;
    fputs("<h2 id=objects>Objects</h2>\n", f);
    if (p->note) {
        fputs("<p class=dim>", f);
        t3di_put_text(f, p->note);
        fputs("</p>\n", f);
    }
    if (p->n_objects == 0)
        return;
    fputs("<div id=view>\n<canvas tabindex=0 role=img></canvas>\n<img class=still alt=\"\">\n"
          "<p class=lack>This browser has no WebGL 2: these are still pictures.</p>\n",
          f);
    put_bar(f, p);
    fputs("<p class=note role=status></p>\n", f);
    put_picks(f, p);
    fputs(
        "<details><summary>Keys and gestures</summary><p>Drag or arrow keys: turn. Wheel (once the "
        "view is chosen by a click), pinch, + and -: nearer and farther. Shift with dragging or "
        "arrows, two fingers: move. Page up and down, [ and ]: other object. Space: turn by "
        "itself. f: whole window. 0, Home or a double click: back to the start.</p></details>\n"
        "</div>\n",
        f);
    for (size_t i = 0; i < p->n_objects; i++)
        put_block(f, p, i);
}
