/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM cdev

#if !defined(_TRACE_CDEV_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_CDEV_H

#include <linux/kdev_t.h>
#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(cdev_calls,
	TP_PROTO(dev_t dev, int in_flight),
	TP_ARGS(dev, in_flight),

	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(int, in_flight)
	),

	TP_fast_assign(
		__entry->dev = dev;
		__entry->in_flight = in_flight;
	),

	TP_printk("dev=%u:%u in_flight=%d", MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->in_flight)
);

/* Calls are refused from here on, these many are in progress. */
DEFINE_EVENT(cdev_calls, cdev_disconnect,
	TP_PROTO(dev_t dev, int in_flight),
	TP_ARGS(dev, in_flight)
);

DEFINE_EVENT(cdev_calls, cdev_drain_begin,
	TP_PROTO(dev_t dev, int in_flight),
	TP_ARGS(dev, in_flight)
);

TRACE_EVENT(cdev_drain_end,
	TP_PROTO(dev_t dev, u64 waited_ns),
	TP_ARGS(dev, waited_ns),

	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, waited_ns)
	),

	TP_fast_assign(
		__entry->dev = dev;
		__entry->waited_ns = waited_ns;
	),

	TP_printk("dev=%u:%u waited_ns=%llu", MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->waited_ns)
);

/* A call was refused. */
TRACE_EVENT(cdev_refused,
	TP_PROTO(dev_t dev),
	TP_ARGS(dev),

	TP_STRUCT__entry(
		__field(dev_t, dev)
	),

	TP_fast_assign(
		__entry->dev = dev;
	),

	TP_printk("dev=%u:%u", MAJOR(__entry->dev), MINOR(__entry->dev))
);

#endif /* _TRACE_CDEV_H */

#include <trace/define_trace.h>
