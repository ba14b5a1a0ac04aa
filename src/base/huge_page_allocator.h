// An allocator for large memory that is looked up in no order, or filled fast: on 4 KiB pages each look costs a walk through the page tables
// too, and each new page a fault. From 2 MiB on it asks for huge pages (madvise(2), MADV_HUGEPAGE), which the kernel gives
// if it has them; what is smaller comes from operator new.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace tcpwhy::base {

template <class T>
struct HugePageAllocator {
  using value_type = T;
  static constexpr std::size_t huge_page = std::size_t{2} << 20U;

  HugePageAllocator() = default;
  template <class U>
  HugePageAllocator(const HugePageAllocator<U>& /*other*/) {}  // NOLINT(google-explicit-constructor): as allocators are

  [[nodiscard]] T* allocate(std::size_t count) {
    if (count > (SIZE_MAX - huge_page) / sizeof(T)) throw std::bad_array_new_length();
    const std::size_t bytes = count * sizeof(T);
    if (bytes < huge_page) return static_cast<T*>(::operator new(bytes, std::align_val_t{alignof(T)}));
    const std::size_t whole = (bytes + huge_page - 1) / huge_page * huge_page;
    void* const made = std::aligned_alloc(huge_page, whole);
    if (made == nullptr) throw std::bad_alloc();
    madvise(made, whole, MADV_HUGEPAGE);
    return static_cast<T*>(made);
  }
  void deallocate(T* memory, std::size_t count) {
    if (count * sizeof(T) < huge_page) {
      ::operator delete(memory, std::align_val_t{alignof(T)});
    } else {
      std::free(memory);
    }
  }
  template <class U>
  bool operator==(const HugePageAllocator<U>& /*other*/) const {
    return true;
  }
};

}  // namespace tcpwhy::base
