# SPDX-License-Identifier: Apache-2.0
"""Files of tests/ref/other, by Blender 3.4: blender -b --python tests/ref/make_other.py -- tests/ref/other

zup.fbx   a box of 2 x 4 x 6 about (0.5, 0, 0) with a plain material (0.8, 0.1, 0.05), and a cone of 16 sides, radius 1,
          about (0, 0, 5), 2 high, whose material has the picture t.png; +Z up as Blender's own world, in centimetres
skin.fbx, skin.dae   a cylinder of 32 sides, radius 1, from (0, 0, 0) to (0, 0, 4), bound to two bones in rest pose
"""
import os
import sys

import bpy

out = sys.argv[sys.argv.index("--") + 1]


def path(name):
    return os.path.join(os.path.abspath(out), name)


bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.mesh.primitive_cube_add(size=2)
box = bpy.context.object
box.scale, box.location = (1, 2, 3), (0.5, 0, 0)
red = bpy.data.materials.new("red")
red.use_nodes = True
red.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (0.8, 0.1, 0.05, 1)
box.data.materials.append(red)
bpy.ops.mesh.primitive_cone_add(location=(0, 0, 5), vertices=16)
image = bpy.data.images.new("t", 8, 8)
image.filepath_raw, image.file_format = "/tmp/absent.png", "PNG"
image.save()
textured = bpy.data.materials.new("tex")
textured.use_nodes = True
node = textured.node_tree.nodes.new("ShaderNodeTexImage")
node.image = image
textured.node_tree.links.new(
    textured.node_tree.nodes["Principled BSDF"].inputs["Base Color"], node.outputs["Color"])
bpy.context.object.data.materials.append(textured)
bpy.ops.export_scene.fbx(filepath=path("zup.fbx"), axis_forward="Y", axis_up="Z", path_mode="STRIP")

bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.object.armature_add(location=(0, 0, 0))
armature = bpy.context.object
bpy.ops.object.mode_set(mode="EDIT")
low = armature.data.edit_bones[0]
low.head, low.tail = (0, 0, 0), (0, 0, 2)
high = armature.data.edit_bones.new("B2")
high.head, high.tail, high.parent = (0, 0, 2), (0, 0, 4), low
bpy.ops.object.mode_set(mode="OBJECT")
bpy.ops.mesh.primitive_cylinder_add(depth=4, location=(0, 0, 2))
body = bpy.context.object
groups = [body.vertex_groups.new(name=n) for n in (armature.data.bones[0].name, "B2")]
for v in body.data.vertices:
    groups[v.co.z >= 0].add([v.index], 1, "REPLACE")
body.modifiers.new("a", "ARMATURE").object = armature
body.parent = armature
bpy.ops.export_scene.fbx(filepath=path("skin.fbx"))
bpy.ops.wm.collada_export(filepath=path("skin.dae"))
