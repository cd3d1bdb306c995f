// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests for where the memory of a buffer of videobuf2-dma-contig goes
 * that is freed after the driver was unbound from the device.
 *
 * Whether it was given back to the page allocator is told by its reference
 * count, of which the test has a share, so that nobody else gets it meanwhile.
 */

#include <kunit/device.h>
#include <kunit/test.h>

#include <linux/device.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include <media/videobuf2-core.h>
#include <media/videobuf2-dma-contig.h>

static unsigned long pool;
module_param(pool, ulong, 0444);
MODULE_PARM_DESC(pool, "physical address of a page that the kernel does not use");

struct dc_test {
	struct device *dev;
	struct vb2_queue q;
	struct vb2_buffer vb;
	void *buf;
};

static int dc_init(struct kunit *test)
{
	struct dc_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->dev = kunit_device_register(test, test->name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, t->dev);
	KUNIT_ASSERT_TRUE(test, device_is_bound(t->dev));
	t->dev->coherent_dma_mask = DMA_BIT_MASK(64);
	t->q.dma_dir = DMA_FROM_DEVICE;
	t->vb.vb2_queue = &t->q;
	test->priv = t;
	return 0;
}

static void dc_alloc(struct kunit *test)
{
	struct dc_test *t = test->priv;

	t->buf = vb2_dma_contig_memops.alloc(&t->vb, t->dev, PAGE_SIZE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, t->buf);
}

static struct page *dc_page(struct kunit *test)
{
	struct dc_test *t = test->priv;

	return virt_to_page(vb2_dma_contig_memops.vaddr(&t->vb, t->buf));
}

/*
 * A buffer of one page in front of another one that the test has as well, with
 * a reference to each: what was just freed is what is allocated next, unless
 * the task is moved to another CPU in between.
 */
static struct page *dc_alloc_pair(struct kunit *test)
{
	struct dc_test *t = test->priv;
	struct page *page;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		page = alloc_pages(GFP_KERNEL, 1);
		KUNIT_ASSERT_NOT_NULL(test, page);
		split_page(page, 1);
		__free_page(page);
		dc_alloc(test);
		if (dc_page(test) == page) {
			get_page(page);
			get_page(page + 1);
			return page;
		}
		vb2_dma_contig_memops.put(t->buf);
		__free_page(page + 1);
	}
	KUNIT_FAIL_AND_ABORT(test, "found no two pages");
	return NULL;
}

/* DMA addresses are one page off, until device_unbind_cleanup() frees this */
static void dc_set_range_map(struct kunit *test, struct device *dev)
{
	struct bus_dma_region *map = kcalloc(2, sizeof(*map), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, map);
	map[0].dma_start = PAGE_SIZE;
	map[0].size = U64_MAX - PAGE_SIZE;
	dev->dma_range_map = map;
}

/* The buffer's page is freed, the other one is not */
static void dc_check_freed(struct kunit *test, struct page *page)
{
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);
	KUNIT_EXPECT_EQ(test, page_ref_count(page + 1), 2);
	put_page(page);
	put_page(page + 1);
	put_page(page + 1);
}

static void dc_free_late(struct kunit *test)
{
	struct dc_test *t = test->priv;
	struct page *page = dc_alloc_pair(test);

	device_release_driver(t->dev);
	vb2_dma_contig_memops.put(t->buf);
	dc_check_freed(test, page);
}

static void dc_range_map(struct kunit *test)
{
	struct dc_test *t = test->priv;
	struct page *page;

	dc_set_range_map(test, t->dev);
	page = dc_alloc_pair(test);
	vb2_dma_contig_memops.put(t->buf);
	dc_check_freed(test, page);
}

/* The DMA address means another page now: neither may be freed, nor mapped */
static void dc_range_map_gone(struct kunit *test)
{
	struct vm_area_struct vma = { .vm_pgoff = 1 };	/* never mapped */
	struct dc_test *t = test->priv;
	struct page *page;
	dma_addr_t *dma;

	dc_set_range_map(test, t->dev);
	page = dc_alloc_pair(test);
	dma = vb2_dma_contig_memops.cookie(&t->vb, t->buf);
	KUNIT_ASSERT_EQ(test, *dma, page_to_phys(page + 1));

	device_release_driver(t->dev);
	KUNIT_ASSERT_NULL(test, t->dev->dma_range_map);
	KUNIT_EXPECT_EQ(test, vb2_dma_contig_memops.mmap(t->buf, &vma),
			-ENODEV);
	vb2_dma_contig_memops.put(t->buf);
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 2);
	KUNIT_EXPECT_EQ(test, page_ref_count(page + 1), 2);

	/* what was leaked */
	put_page(page);
	put_page(page);
	put_page(page + 1);
	put_page(page + 1);
}

/* Reserved memory: not a page that the page allocator may ever get */
static void dc_pool_gone(struct kunit *test)
{
#ifdef CONFIG_DMA_DECLARE_COHERENT
	struct dc_test *t = test->priv;
	struct dma_coherent_mem *mem;
	dma_addr_t *dma;
	void *again;

	if (!pool)
		kunit_skip(test, "needs memmap=64K$ADDRESS and pool=ADDRESS");
	KUNIT_ASSERT_EQ(test, dma_declare_coherent_memory(t->dev, pool, pool,
							  PAGE_SIZE), 0);
	mem = t->dev->dma_mem;
	dc_alloc(test);
	dma = vb2_dma_contig_memops.cookie(&t->vb, t->buf);
	KUNIT_ASSERT_EQ(test, *dma, pool);

	/* as of_reserved_mem_device_release() does */
	t->dev->dma_mem = NULL;
	vb2_dma_contig_memops.put(t->buf);

	/* leaked: it is not in the pool either; with the pool, it goes there */
	t->dev->dma_mem = mem;
	again = vb2_dma_contig_memops.alloc(&t->vb, t->dev, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, IS_ERR(again));
	dma_release_coherent_memory(t->dev);
	KUNIT_ASSERT_EQ(test, dma_declare_coherent_memory(t->dev, pool, pool,
							  PAGE_SIZE), 0);
	dc_alloc(test);
	device_release_driver(t->dev);
	vb2_dma_contig_memops.put(t->buf);
	dc_alloc(test);
	vb2_dma_contig_memops.put(t->buf);
	dma_release_coherent_memory(t->dev);
#else
	kunit_skip(test, "needs CONFIG_DMA_DECLARE_COHERENT");
#endif
}

static struct kunit_case dc_cases[] = {
	KUNIT_CASE(dc_free_late),
	KUNIT_CASE(dc_range_map),
	KUNIT_CASE(dc_range_map_gone),
	KUNIT_CASE(dc_pool_gone),
	{}
};

static struct kunit_suite dc_suite = {
	.name = "videobuf2-dma-contig",
	.init = dc_init,
	.test_cases = dc_cases,
};

kunit_test_suite(dc_suite);

MODULE_DESCRIPTION("KUnit tests for the memory of vb2 buffers");
MODULE_LICENSE("GPL");
