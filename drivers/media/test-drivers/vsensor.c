// SPDX-License-Identifier: GPL-2.0-only
/*
 * A camera sensor without hardware.
 *
 * It is there to test camera pipelines, and above all their removal. Drivers of
 * receivers and of image signal processors bind it as they bind every sensor on
 * CSI-2, and start streaming from it, although no frame ever comes. It can be
 * unbound, and bound again, while they do.
 *
 * It is not what a device tree would describe, and there are no bindings for
 * it. It drives a platform device whose firmware node has a graph endpoint when
 * it is told to, for example /vsensor of a device tree made for tests, with any
 * compatible that no other driver knows:
 *
 *	cd /sys/bus/platform
 *	echo vsensor > devices/vsensor/driver_override
 *	echo vsensor > drivers/vsensor/bind
 *
 * What is written to bind and unbind is the name of the device.
 */

#include <linux/array_size.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/string.h>

#include <media/media-entity.h>
#include <media/mipi-csi2.h>
#include <media/v4l2-async.h>
#include <media/v4l2-ctrls.h>
#include <media/v4l2-fwnode.h>
#include <media/v4l2-subdev.h>

#define VSENSOR_LINK_FREQ	400000000ULL
#define VSENSOR_DEF_LANES	2

#define VSENSOR_DEF_WIDTH	640
#define VSENSOR_DEF_HEIGHT	480
#define VSENSOR_MIN_SIZE	32
#define VSENSOR_MAX_SIZE	4096

struct vsensor {
	struct v4l2_subdev sd;
	struct media_pad pad;
	struct v4l2_ctrl_handler hdl;
	struct v4l2_ctrl *pixel_rate;
	unsigned int lanes;
};

struct vsensor_format {
	u32 code;
	u8 data_type;
	u8 bpp;
};

/* The first one is the default. */
static const struct vsensor_format vsensor_formats[] = {
	{ MEDIA_BUS_FMT_SRGGB10_1X10, MIPI_CSI2_DT_RAW10, 10 },
	{ MEDIA_BUS_FMT_SRGGB8_1X8, MIPI_CSI2_DT_RAW8, 8 },
	{ MEDIA_BUS_FMT_UYVY8_1X16, MIPI_CSI2_DT_YUV422_8B, 16 },
	{ MEDIA_BUS_FMT_RGB888_1X24, MIPI_CSI2_DT_RGB888, 24 },
};

static const s64 vsensor_link_freqs[] = { VSENSOR_LINK_FREQ };

static struct vsensor *to_vsensor(struct v4l2_subdev *sd)
{
	return container_of(sd, struct vsensor, sd);
}

static const struct vsensor_format *vsensor_find_format(u32 code)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vsensor_formats); i++)
		if (vsensor_formats[i].code == code)
			return &vsensor_formats[i];

	return NULL;
}

static u64 vsensor_pixel_rate(struct vsensor *vsensor, unsigned int bpp)
{
	return div_u64(VSENSOR_LINK_FREQ * 2 * vsensor->lanes, bpp);
}

static int vsensor_enum_mbus_code(struct v4l2_subdev *sd,
				  struct v4l2_subdev_state *state,
				  struct v4l2_subdev_mbus_code_enum *code)
{
	if (code->index >= ARRAY_SIZE(vsensor_formats))
		return -EINVAL;

	code->code = vsensor_formats[code->index].code;

	return 0;
}

static int vsensor_enum_frame_size(struct v4l2_subdev *sd,
				   struct v4l2_subdev_state *state,
				   struct v4l2_subdev_frame_size_enum *fse)
{
	if (fse->index || !vsensor_find_format(fse->code))
		return -EINVAL;

	fse->min_width = VSENSOR_MIN_SIZE;
	fse->max_width = VSENSOR_MAX_SIZE;
	fse->min_height = VSENSOR_MIN_SIZE;
	fse->max_height = VSENSOR_MAX_SIZE;

	return 0;
}

static int vsensor_set_fmt(struct v4l2_subdev *sd,
			   struct v4l2_subdev_state *state,
			   struct v4l2_subdev_format *format)
{
	struct v4l2_mbus_framefmt *fmt = &format->format;
	struct vsensor *vsensor = to_vsensor(sd);
	const struct vsensor_format *info;

	if (format->which == V4L2_SUBDEV_FORMAT_ACTIVE &&
	    v4l2_subdev_is_streaming(sd))
		return -EBUSY;

	info = vsensor_find_format(fmt->code) ?: &vsensor_formats[0];

	*fmt = (struct v4l2_mbus_framefmt) {
		.width = clamp(fmt->width, VSENSOR_MIN_SIZE, VSENSOR_MAX_SIZE),
		.height = clamp(fmt->height, VSENSOR_MIN_SIZE,
				VSENSOR_MAX_SIZE),
		.code = info->code,
		.field = V4L2_FIELD_NONE,
		.colorspace = V4L2_COLORSPACE_SRGB,
	};
	*v4l2_subdev_state_get_format(state, format->pad) = *fmt;

	if (format->which == V4L2_SUBDEV_FORMAT_TRY)
		return 0;

	return __v4l2_ctrl_s_ctrl_int64(vsensor->pixel_rate,
					vsensor_pixel_rate(vsensor, info->bpp));
}

static int vsensor_init_state(struct v4l2_subdev *sd,
			      struct v4l2_subdev_state *state)
{
	struct v4l2_subdev_format format = {
		.which = V4L2_SUBDEV_FORMAT_TRY,
		.format.width = VSENSOR_DEF_WIDTH,
		.format.height = VSENSOR_DEF_HEIGHT,
	};

	return vsensor_set_fmt(sd, state, &format);
}

static int vsensor_get_frame_desc(struct v4l2_subdev *sd, unsigned int pad,
				  struct v4l2_mbus_frame_desc *fd)
{
	struct v4l2_subdev_state *state;
	u32 code;

	state = v4l2_subdev_lock_and_get_active_state(sd);
	code = v4l2_subdev_state_get_format(state, pad)->code;
	v4l2_subdev_unlock_state(state);

	fd->type = V4L2_MBUS_FRAME_DESC_TYPE_CSI2;
	fd->num_entries = 1;
	fd->entry[0].pixelcode = code;
	fd->entry[0].bus.csi2.dt = vsensor_find_format(code)->data_type;

	return 0;
}

/* The core remembers what is enabled, and there is nothing else to do. */
static int vsensor_set_streams(struct v4l2_subdev *sd,
			       struct v4l2_subdev_state *state, u32 pad,
			       u64 streams_mask)
{
	return 0;
}

static const struct v4l2_subdev_video_ops vsensor_video_ops = {
	.s_stream = v4l2_subdev_s_stream_helper,
};

static const struct v4l2_subdev_pad_ops vsensor_pad_ops = {
	.enum_mbus_code = vsensor_enum_mbus_code,
	.enum_frame_size = vsensor_enum_frame_size,
	.get_fmt = v4l2_subdev_get_fmt,
	.set_fmt = vsensor_set_fmt,
	.get_frame_desc = vsensor_get_frame_desc,
	.enable_streams = vsensor_set_streams,
	.disable_streams = vsensor_set_streams,
};

static const struct v4l2_subdev_ops vsensor_ops = {
	.video = &vsensor_video_ops,
	.pad = &vsensor_pad_ops,
};

static const struct v4l2_subdev_internal_ops vsensor_internal_ops = {
	.init_state = vsensor_init_state,
};

static int vsensor_parse_endpoint(struct vsensor *vsensor)
{
	struct v4l2_fwnode_endpoint vep = {
		.bus_type = V4L2_MBUS_CSI2_DPHY,
		.bus.mipi_csi2.num_data_lanes = VSENSOR_DEF_LANES,
	};
	struct fwnode_handle *ep;
	int ret;

	ep = fwnode_graph_get_next_endpoint(dev_fwnode(vsensor->sd.dev), NULL);
	if (!ep)
		return -ENXIO;

	ret = v4l2_fwnode_endpoint_parse(ep, &vep);
	fwnode_handle_put(ep);
	if (ret)
		return ret;

	vsensor->lanes = vep.bus.mipi_csi2.num_data_lanes;

	return 0;
}

/* None of the controls does anything. */
static int vsensor_init_controls(struct vsensor *vsensor)
{
	struct v4l2_ctrl_handler *hdl = &vsensor->hdl;
	struct v4l2_ctrl *ctrl;

	v4l2_ctrl_handler_init(hdl, 5);

	ctrl = v4l2_ctrl_new_int_menu(hdl, NULL, V4L2_CID_LINK_FREQ, 0, 0,
				      vsensor_link_freqs);
	if (ctrl)
		ctrl->flags |= V4L2_CTRL_FLAG_READ_ONLY;

	vsensor->pixel_rate =
		v4l2_ctrl_new_std(hdl, NULL, V4L2_CID_PIXEL_RATE, 1,
				  vsensor_pixel_rate(vsensor, 1), 1,
				  vsensor_pixel_rate(vsensor,
						     vsensor_formats[0].bpp));
	v4l2_ctrl_new_std(hdl, NULL, V4L2_CID_HBLANK, 1, 0xffff, 1, 160);
	v4l2_ctrl_new_std(hdl, NULL, V4L2_CID_VBLANK, 1, 0xffff, 1, 40);
	v4l2_ctrl_new_std(hdl, NULL, V4L2_CID_EXPOSURE, 1, 0xffff, 1, 500);

	vsensor->sd.ctrl_handler = hdl;
	vsensor->sd.state_lock = hdl->lock;

	return hdl->error;
}

static int vsensor_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct vsensor *vsensor;
	struct v4l2_subdev *sd;
	int ret;

	vsensor = devm_kzalloc(dev, sizeof(*vsensor), GFP_KERNEL);
	if (!vsensor)
		return -ENOMEM;

	sd = &vsensor->sd;
	v4l2_subdev_init(sd, &vsensor_ops);
	sd->internal_ops = &vsensor_internal_ops;
	sd->flags |= V4L2_SUBDEV_FL_HAS_DEVNODE;
	sd->entity.function = MEDIA_ENT_F_CAM_SENSOR;
	sd->dev = dev;
	strscpy(sd->name, dev_name(dev), sizeof(sd->name));
	platform_set_drvdata(pdev, sd);

	ret = vsensor_parse_endpoint(vsensor);
	if (ret)
		return dev_err_probe(dev, ret, "no usable CSI-2 endpoint\n");

	ret = vsensor_init_controls(vsensor);
	if (ret)
		goto err_handler;

	vsensor->pad.flags = MEDIA_PAD_FL_SOURCE;
	ret = media_entity_pads_init(&sd->entity, 1, &vsensor->pad);
	if (ret)
		goto err_handler;

	ret = v4l2_subdev_init_finalize(sd);
	if (ret)
		goto err_entity;

	ret = v4l2_async_register_subdev_sensor(sd);
	if (ret)
		goto err_subdev;

	return 0;

err_subdev:
	v4l2_subdev_cleanup(sd);
err_entity:
	media_entity_cleanup(&sd->entity);
err_handler:
	v4l2_ctrl_handler_free(&vsensor->hdl);

	return ret;
}

static void vsensor_remove(struct platform_device *pdev)
{
	struct v4l2_subdev *sd = platform_get_drvdata(pdev);

	/*
	 * After this, files of the node that are still open have nothing to do
	 * with the sensor, and the receiver, which had to unbind it, does not
	 * call it. So all of it can go now, and the memory can be devm's.
	 */
	v4l2_async_unregister_subdev(sd);

	/* To stop it later, the receiver would have to call what is gone. */
	if (v4l2_subdev_is_streaming(sd))
		dev_WARN(&pdev->dev, "the receiver did not stop streaming\n");

	v4l2_subdev_cleanup(sd);
	media_entity_cleanup(&sd->entity);
	v4l2_ctrl_handler_free(sd->ctrl_handler);
}

static struct platform_driver vsensor_driver = {
	.probe = vsensor_probe,
	.remove = vsensor_remove,
	.driver = {
		.name = "vsensor",
	},
};
module_platform_driver(vsensor_driver);

MODULE_DESCRIPTION("Camera sensor without hardware, for tests");
MODULE_LICENSE("GPL");
