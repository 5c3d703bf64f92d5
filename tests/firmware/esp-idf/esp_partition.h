/* esp_partition.h - the declarations of ESP-IDF 5 that esp_slots.c uses. */
#ifndef ESP_PARTITION_H
#define ESP_PARTITION_H

#include <stddef.h>
#include <stdint.h>

typedef int esp_err_t;
enum { ESP_OK = 0, ESP_ERR_INVALID_SIZE = 0x104, ESP_ERR_NOT_FOUND = 0x105 };

typedef enum { ESP_PARTITION_TYPE_APP = 0, ESP_PARTITION_TYPE_DATA = 1 } esp_partition_type_t;
typedef enum { ESP_PARTITION_SUBTYPE_ANY = 0xff } esp_partition_subtype_t;
typedef enum { ESP_PARTITION_MMAP_DATA, ESP_PARTITION_MMAP_INST } esp_partition_mmap_memory_t;
typedef uint32_t esp_partition_mmap_handle_t;
typedef struct { uint32_t address, size; } esp_partition_t;

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type,
                                                esp_partition_subtype_t subtype,
                                                const char *label);
esp_err_t esp_partition_read(const esp_partition_t *p, size_t at, void *to, size_t n);
esp_err_t esp_partition_write(const esp_partition_t *p, size_t at, const void *from, size_t n);
esp_err_t esp_partition_erase_range(const esp_partition_t *p, size_t at, size_t n);
esp_err_t esp_partition_mmap(const esp_partition_t *p, size_t at, size_t n,
                             esp_partition_mmap_memory_t memory, const void **to,
                             esp_partition_mmap_handle_t *handle);
#endif
