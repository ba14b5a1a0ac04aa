#include "base/huge_page_allocator.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <vector>

namespace tcpwhy::base {
namespace {

TEST(HugePageAllocator, small_or_large_it_is_memory) {
  std::vector<std::uint64_t, HugePageAllocator<std::uint64_t>> numbers;
  while (numbers.size() * sizeof(std::uint64_t) < 5 * HugePageAllocator<std::uint64_t>::huge_page) {
    const std::size_t before = numbers.size();
    numbers.resize(before == 0 ? 1 : 3 * before);
    std::iota(numbers.begin() + static_cast<std::ptrdiff_t>(before), numbers.end(), before);
  }
  for (std::size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(numbers[i], i);
}

TEST(HugePageAllocator, large_memory_begins_at_a_huge_page) {
  HugePageAllocator<char> allocator;
  constexpr std::size_t size = HugePageAllocator<char>::huge_page + 1;
  char* const memory = allocator.allocate(size);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % HugePageAllocator<char>::huge_page, 0U);
  allocator.deallocate(memory, size);
}

TEST(HugePageAllocator, more_than_there_can_be_is_refused) {
  HugePageAllocator<std::uint64_t> allocator;
  EXPECT_THROW(static_cast<void>(allocator.allocate(SIZE_MAX / 4)), std::bad_array_new_length);
}

}  // namespace
}  // namespace tcpwhy::base
