#include "wire/tcp_header.h"

namespace tcpwhy::wire {
namespace {

constexpr std::size_t shortest_tcp_header = 20;

// --- TCP options (RFC 9293 3.1) ---------------------------------------------------------------------------------

namespace option_kind {
constexpr std::uint8_t end = 0, no_operation = 1, maximum_segment_size = 2, window_scale = 3, sack_permitted = 4,
                       sack = 5, timestamps = 8, md5_signature = 19, multipath = 30, fast_open = 34, experiment = 254;
}

// RFC 7413 4.1.1: Fast Open as an experiment (kind 254), before it got its own kind.
constexpr std::uint16_t fast_open_experiment = 0xf989;

void read_sack(Bytes body, TcpOptions& options) {
  options.sack_count = 0;
  for (std::size_t at = 0; body.has(at, 8) && options.sack_count < options.sack_storage.size(); at += 8) {
    options.sack_storage[options.sack_count++] = {{body.be32(at)}, {body.be32(at + 4)}};
  }
}

// An option of a known kind whose length is not that kind's is passed over, as Linux does (tcp_parse_options).
void read_option(std::uint8_t kind, Bytes body, TcpOptions& options) {
  const std::size_t size = body.size();
  switch (kind) {
    case option_kind::maximum_segment_size:
      if (size == 2) options.maximum_segment_size = body.be16(0);
      break;
    case option_kind::window_scale:
      if (size == 1) options.window_scale = body.u8(0);
      break;
    case option_kind::sack_permitted:
      if (size == 0) options.sack_permitted = true;
      break;
    case option_kind::sack:
      if (size >= 8 && size % 8 == 0) read_sack(body, options);
      break;
    case option_kind::timestamps:
      if (size == 8) options.timestamps = TcpTimestamps{body.be32(0), body.be32(4)};
      break;
    case option_kind::md5_signature:
      if (size == 16) options.md5_signature = true;
      break;
    case option_kind::multipath: options.multipath = true; break;
    case option_kind::fast_open: options.fast_open_cookie_length = static_cast<std::uint8_t>(size); break;
    case option_kind::experiment:
      if (size >= 2 && body.be16(0) == fast_open_experiment) {
        options.fast_open_cookie_length = static_cast<std::uint8_t>(size - 2);
      }
      break;
    default: break;
  }
}

void read_options(Bytes list, TcpOptions& options) {
  // What nearly every segment of an open connection has: two no-operations and timestamps (RFC 7323 appendix A).
  constexpr std::size_t usual_length = 12;
  constexpr std::uint32_t usual_start = 0x01'01'08'0a;
  if (list.size() == usual_length) {
    const auto usual = list.header<usual_length>(0);
    if (usual.be32<0>() == usual_start) {
      options.timestamps = TcpTimestamps{usual.be32<4>(), usual.be32<8>()};
      return;
    }
  }
  while (!list.empty() && list.u8(0) != option_kind::end) {
    if (list.u8(0) == option_kind::no_operation) {
      list = list.from(1);
      continue;
    }
    const std::size_t length = list.has(1, 1) ? list.u8(1) : 0;
    if (length < 2 || !list.has(0, length)) {
      options.malformed = !(options.cut && (list.size() == 1 || length > list.size()));
      break;
    }
    read_option(list.u8(0), list.first(length).from(2), options);
    list = list.from(length);
  }
}

}  // namespace

void read_tcp_fields(Bytes b, TcpSegment& segment) {
  if (b.has(0, 2)) segment.source.port = b.be16(0);
  if (b.has(2, 2)) segment.destination.port = b.be16(2);
  if (b.has(4, 4)) segment.seq = {b.be32(4)};
  if (b.has(8, 4)) segment.ack = {b.be32(8)};
  if (b.has(12, 2)) segment.flags.bits = b.be16(12) & 0x1ffU;
  if (b.has(14, 2)) segment.window = b.be16(14);
  if (b.has(18, 2)) segment.urgent_pointer = b.be16(18);
}

Dissection read_tcp(Bytes captured, std::size_t length, TcpSegment& segment) {
  if (!captured.has(0, shortest_tcp_header)) {
    read_tcp_fields(captured, segment);
    if (length < shortest_tcp_header) return Dissection::malformed;
    if (captured.has(0, 13)) {
      const std::size_t header_length = (captured.u8(12) >> 4U) * 4U;
      if (header_length < shortest_tcp_header || header_length > length) return Dissection::malformed;
      segment.payload_length = static_cast<std::uint32_t>(length - header_length);
    }
    return Dissection::truncated;
  } else {
    const auto header = captured.header<shortest_tcp_header>(0);
    segment.source.port = header.be16<0>();
    segment.destination.port = header.be16<2>();
    segment.seq = {header.be32<4>()};
    segment.ack = {header.be32<8>()};
    segment.flags.bits = header.be16<12>() & 0x1ffU;
    segment.window = header.be16<14>();
    segment.urgent_pointer = header.be16<18>();
  }
  const std::size_t header_length = (captured.u8(12) >> 4U) * 4U;
  if (header_length < shortest_tcp_header || header_length > length) return Dissection::malformed;
  segment.payload_length = static_cast<std::uint32_t>(length - header_length);
  segment.options.cut = !captured.has(0, header_length);
  if (header_length != shortest_tcp_header)
    read_options(captured.first(header_length).from(shortest_tcp_header), segment.options);
  segment.payload = captured.from(header_length).span();
  return Dissection::tcp;
}

}  // namespace tcpwhy::wire
