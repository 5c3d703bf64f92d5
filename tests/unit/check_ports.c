/* check_ports.c - the flash ports that users get: an image comes in, is confirmed, and survives a
 * reset where it should.  The frameworks' functions are written here, on NOR flash that keeps the
 * rules. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "esp_slots.h"
#include "nor.h"
#include "ram_slots.h"
#include "t_hd_gateway.h"
#include "t_run.h"
#include "zephyr_slots.h"

enum { SEED = 3, PART = 12 * 4096 + 512, SECTOR = 4096, RAM_SLOT = 4096 };

static const struct t_image_spec spec = { 8, 3, { { HD_OP_DENSE, 24 }, { HD_OP_DENSE, 4 } } };
static struct t_flash unused;            /* of the pair, which brings its own clock */
static struct t_pair pair;
static struct t_package v1, v2;
static uint8_t memory[PART] __attribute__((aligned(4)));
static struct nor nor;

/* --- ESP-IDF ---------------------------------------------------------------------------------- */

static esp_partition_t partition = { 0x110000, PART };

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type,
                                                esp_partition_subtype_t subtype, const char *label)
{
	(void)subtype;
	return type == ESP_PARTITION_TYPE_DATA && strcmp(label, "honed") == 0 ? &partition : NULL;
}

esp_err_t esp_partition_read(const esp_partition_t *p, size_t at, void *to, size_t n)
{
	(void)p;
	memcpy(to, memory + at, n);
	return ESP_OK;
}

esp_err_t esp_partition_write(const esp_partition_t *p, size_t at, const void *from, size_t n)
{
	(void)p;
	return nor_program(&nor, (uint32_t)at, from, (uint32_t)n) ? ESP_OK : ESP_ERR_INVALID_SIZE;
}

esp_err_t esp_partition_erase_range(const esp_partition_t *p, size_t at, size_t n)
{
	(void)p;
	return n == SECTOR && nor_erase(&nor, (uint32_t)at) ? ESP_OK : ESP_ERR_INVALID_SIZE;
}

esp_err_t esp_partition_mmap(const esp_partition_t *p, size_t at, size_t n,
                             esp_partition_mmap_memory_t memory_, const void **to,
                             esp_partition_mmap_handle_t *handle)
{
	(void)memory_;
	if (at + n > p->size)
		return ESP_ERR_INVALID_SIZE;
	*handle = 1;
	*to = memory + at;
	return ESP_OK;
}

/* --- Zephyr ----------------------------------------------------------------------------------- */

static struct flash_area area = { .fa_id = 1, .fa_size = PART };

int flash_area_open(uint8_t id, const struct flash_area **a)
{
	*a = &area;
	return id == 1 ? 0 : -ENOENT;
}

int flash_area_read(const struct flash_area *a, off_t at, void *to, size_t n)
{
	(void)a;
	memcpy(to, memory + at, n);
	return 0;
}

int flash_area_write(const struct flash_area *a, off_t at, const void *from, size_t n)
{
	(void)a;
	return nor_program(&nor, (uint32_t)at, from, (uint32_t)n) ? 0 : -EIO;
}

int flash_area_erase(const struct flash_area *a, off_t at, size_t n)
{
	(void)a;
	return n == SECTOR && nor_erase(&nor, (uint32_t)at) ? 0 : -EIO;
}

uint32_t flash_area_align(const struct flash_area *a)
{
	(void)a;
	return nor.unit;
}

uint8_t flash_area_erased_val(const struct flash_area *a)
{
	(void)a;
	return nor.erased;
}

/* All sectors are alike; room for fewer than there are is an error that fills it all the same. */
int flash_area_get_sectors(int id, uint32_t *count, struct flash_sector *sectors)
{
	(void)id;
	for (uint32_t i = 0; i < *count; i++)
		sectors[i] = (struct flash_sector){ (off_t)(i * SECTOR), SECTOR };
	return *count < PART / SECTOR ? -ENOMEM : 0;
}

/* --- the ports -------------------------------------------------------------------------------- */

static struct esp_slots esp;
static struct zephyr_slots zephyr;
static struct ram_slots ram;

static const struct hd_flash *open_esp(void)
{
	nor.unit = 16;
	return esp_slots_init(&esp, "honed") == ESP_OK ? &esp.port : NULL;
}

static const struct hd_flash *open_zephyr(void)
{
	nor.unit = 4;
	return zephyr_slots_init(&zephyr, 1, memory, 85000) == 0 ? &zephyr.port : NULL;
}

static const struct hd_flash *open_ram(void)
{
	ram_slots_init(&ram, memory, RAM_SLOTS_BYTES(RAM_SLOT));
	return &ram.port;
}

static const struct { const struct hd_flash *(*open)(void); bool keeps; } ports[] = {
	{ open_esp, true }, { open_zephyr, true }, { open_ram, false },
};

static const struct hd_flash *power_on(int i)
{
	const struct hd_flash *port = ports[i].open();

	ck_assert_ptr_nonnull(port);
	pair.cfg.flash = port;
	ck_assert_int_eq(t_pair_boot(&pair), HD_OK);
	return port;
}

static void setup(void)
{
	static const struct t_geometry any = { 4, 1024, 4096, 0xff };

	memset(memory, 0xff, sizeof memory);
	nor = (struct nor){ .mem = memory, .size = PART / SECTOR * SECTOR, .sector = SECTOR, .unit = 4,
	                    .erased = 0xff };
	area.fa_size = PART;
	partition.size = PART;
	t_flash_init(&unused, &any, SEED);
	t_package_build(&v1, &spec, 1, 4);
	t_package_build(&v2, &spec, 2, 4);
	ck_assert_int_eq(t_pair_init(&pair, &unused, SEED), HD_OK);
}

static void teardown(void)
{
	ck_assert_uint_eq(nor.violations, 0);
	t_flash_done(&unused);
}

START_TEST(images_come_in_are_confirmed_and_survive_a_reset_where_the_memory_does)
{
	const struct hd_flash *port = power_on(_i);

	ck_assert_uint_eq(port->slot_at[1] + port->slot_bytes
	                  <= (ports[_i].keeps ? PART : RAM_SLOTS_BYTES(RAM_SLOT)), true);
	ck_assert(t_put_in_service(&pair, &v1));
	ck_assert(t_serves(&pair, &v1));
	ck_assert(t_put_in_service(&pair, &v2));
	ck_assert(t_serves(&pair, &v2));
	(void)power_on(_i);
	ck_assert_int_eq(hd_service(&pair.dev, NULL) != NULL, ports[_i].keeps);
	if (ports[_i].keeps)
		ck_assert(t_serves(&pair, &v2));
	else
		ck_assert(t_put_in_service(&pair, &v1));         /* the gateway sends it again */
}
END_TEST

START_TEST(a_partition_that_is_missing_or_too_small_is_an_error)
{
	ck_assert_int_eq(esp_slots_init(&esp, "other"), ESP_ERR_NOT_FOUND);
	ck_assert_int_eq(zephyr_slots_init(&zephyr, 2, memory, 1), -ENOENT);
	partition.size = 3 * SECTOR;
	area.fa_size = 3 * SECTOR;
	ck_assert_int_eq(esp_slots_init(&esp, "honed"), ESP_ERR_INVALID_SIZE);
	ck_assert_int_eq(zephyr_slots_init(&zephyr, 1, memory, 1), -EINVAL);
	area.fa_size = PART;
	nor.unit = 64;
	ck_assert_int_eq(zephyr_slots_init(&zephyr, 1, memory, 1), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ports");
	TCase *t = tcase_create("ports");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, images_come_in_are_confirmed_and_survive_a_reset_where_the_memory_does, 0,
	                    (int)(sizeof ports / sizeof *ports));
	tcase_add_test(t, a_partition_that_is_missing_or_too_small_is_an_error);
	suite_add_tcase(s, t);
	return t_run(s);
}
