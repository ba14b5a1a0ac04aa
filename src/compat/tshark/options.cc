#include "compat/tshark/options.h"

#include <algorithm>

namespace tcpwhy::compat::tshark {
namespace {

using wire::Bytes;

namespace kind {
constexpr std::uint8_t end = 0, no_operation = 1, window_scale = 3, sack = 5, multipath = 30, fast_open = 34,
                       experiment = 253, experiment2 = 254;
}
constexpr std::uint16_t fast_open_experiment = 0xf989;  // RFC 7413 4.1.1
constexpr std::uint8_t largest_shift = 14;              // RFC 7323 2.3
constexpr std::size_t counted_sack_blocks = 3;

// What was captured of an option, with its kind and length. False: given up.
bool read_sack(Bytes option, std::uint32_t relative_ack, Options& options) {
  std::uint32_t bytes = 0;
  std::size_t blocks = 0;
  for (std::size_t at = 2; option.has(at, 8); at += 8) {
    if (++blocks <= counted_sack_blocks) bytes += option.be32(at + 4) - option.be32(at);
  }
  options.selectively_acked = bytes;
  // Without a block, Wireshark takes one that begins and ends at 0 for a D-SACK and reads it where none is.
  return blocks > 0 || static_cast<std::int32_t>(0U - relative_ack) > 0;
}

// How long an MPTCP option must be for what Wireshark reads of it: a shorter one it gives up.
std::size_t shortest_multipath(unsigned subtype, Bytes option) {
  constexpr unsigned capable = 0, data_sequence_signal = 2, add_address = 3;
  if (subtype == capable || subtype == add_address) return 4;
  if (subtype != data_sequence_signal) return 3;
  if (!option.has(3, 1)) return 4;
  // RFC 8684 3.3: a data ACK (A), of 8 bytes (a); a mapping (M), whose sequence number has 8 bytes (m).
  const unsigned flags = option.u8(3);
  std::size_t size = 4;
  if ((flags & 1U) != 0) size += (flags & 2U) != 0 ? 8 : 4;
  if ((flags & 4U) != 0) size += ((flags & 8U) != 0 ? 8 : 4) + 6;
  return size;
}

// RFC 8684 3: the subtype stands in the upper four bits; MP_CAPABLE makes a connection only with a key in it.
bool read_multipath(Bytes option, Options& options) {
  constexpr unsigned capable = 0, last_counted = 7;
  if (!option.has(2, 1)) return false;
  const unsigned subtype = option.u8(2) >> 4U;
  const std::size_t size = option.size();
  if (size < shortest_multipath(subtype, option)) return false;
  if (subtype <= last_counted) options.multipath_operations |= static_cast<std::uint8_t>(1U << subtype);
  options.multipath = options.multipath || subtype != capable || size == 12 || size == 20 || size == 22 || size == 24;
  return true;
}

// The size that an option has with a cookie in it exceeds that of a request for one.
constexpr std::size_t cookie_request_length = 2;

bool read_experiment(Bytes option, Options& options) {
  if (option.size() == 3) return false;
  if (option.has(2, 2) && option.be16(2) == fast_open_experiment) {
    options.fast_open_cookie = option.size() - 2 > cookie_request_length;
  }
  return true;
}

bool read_option(Bytes option, std::uint32_t relative_ack, Options& options) {
  switch (option.u8(0)) {
    case kind::window_scale:
      if (option.size() == 3) options.window_scale = std::min(option.u8(2), largest_shift);
      return true;
    case kind::sack: return read_sack(option, relative_ack, options);
    case kind::multipath: return read_multipath(option, options);
    case kind::fast_open:
      if (option.size() > cookie_request_length) options.fast_open_cookie = true;
      return true;
    case kind::experiment:
    case kind::experiment2: return read_experiment(option, options);
    default: return true;
  }
}

}  // namespace

Options read_options(Bytes list, std::size_t length, std::uint32_t relative_ack) {
  Options options;
  while (length > 0) {
    options.given_up = true;
    if (!list.has(0, 1)) return options;
    const std::uint8_t option_kind = list.u8(0);
    std::size_t size = 1;
    if (option_kind == kind::end) {
      options.given_up = !list.has(1, length - 1);  // the padding is looked at
      return options;
    }
    if (option_kind != kind::no_operation) {
      if (length < 2) break;
      if (!list.has(1, 1)) return options;
      size = list.u8(1);
      if (size < 2) break;
      if (size > length) {
        // The note about it spans the rest of the list: where that was not captured, the note is too much already.
        options.given_up = !list.has(0, length - 2);
        return options;
      }
      const bool whole = list.has(0, size);
      if (!read_option(list.first(size), relative_ack, options) || !whole) return options;
    }
    list = list.from(size);
    length -= size;
  }
  options.given_up = false;
  return options;
}

}  // namespace tcpwhy::compat::tshark
