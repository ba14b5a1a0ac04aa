// A caller's memory put together from pieces, for calls that nobody made or that are not looked at where they are made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "calls/memory.h"

namespace tcpwhy::calls {

class MemoryImage : public Memory {
 public:
  // The pieces stand from `first` on, in the order in which they are put, with a hole between any two: what reads past
  // the end of one finds nothing.
  explicit MemoryImage(std::uint64_t first) : next_(first) {}

  // Returns where it stands.
  std::uint64_t put(std::span<const std::byte> bytes);
  std::uint64_t put_text(std::string_view text);
  template <class T>
    requires std::is_trivially_copyable_v<T>
  std::uint64_t put_value(const T& value) {
    return put(std::as_bytes(std::span(&value, 1)));
  }
  void put_at(std::uint64_t address, std::span<const std::byte> bytes);

  [[nodiscard]] std::vector<std::uint8_t> read(std::uint64_t address, std::size_t length) const override;

 private:
  std::map<std::uint64_t, std::vector<std::uint8_t>> pieces_;  // by address
  std::uint64_t next_;
};

}  // namespace tcpwhy::calls
