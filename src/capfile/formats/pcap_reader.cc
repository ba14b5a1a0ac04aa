// Classic pcap: a file header, then packets (pcap-savefile(5), draft-ietf-opsawg-pcap).
//
//   0  magic            4  major, minor (16 bits each)   8  time zone, accuracy of old (unused)
//   16 snapshot length  20 FCS length:4, FCS present:1 (bit 26), reserved, link type:16
//
//   each packet: seconds, fraction, captured length, original length; the modified format adds 8 bytes
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/format.h"
#include "capfile/formats/byte_order.h"
#include "capfile/formats/reader_impl.h"

namespace tcpwhy::capfile {
namespace {

constexpr std::size_t file_header_bytes = 24;

struct Variant {
  std::uint32_t magic;
  std::uint8_t digits;
  std::size_t record_header_bytes;
};

constexpr Variant variants[] = {
    {0xa1b2c3d4, 6, 16},  // microseconds
    {0xa1b23c4d, 9, 16},  // nanoseconds
    {0xa1b2cd34, 6, 24},  // A. Kuznetsov's patched libpcap 0.4: interface index, protocol, packet type, padding
};

const Variant* find_variant(std::uint32_t magic) {
  const auto* found = std::ranges::find(variants, magic, &Variant::magic);
  return found == std::end(variants) ? nullptr : found;
}

// Which of a record's two lengths stands first, by the version of the file (libpcap sf-pcap.c, pcap_check_header).
enum class LengthOrder { captured_first, original_first, smaller_is_captured };

class PcapReader final : public CaptureReader::Impl {
 public:
  PcapReader(InputBuffer input, const std::string& name, const Variant& variant, bool swapped)
      : Impl(std::move(input), name), variant_(variant), swapped_(swapped) {}

 private:
  base::Result<Kind> read_record() override {
    mark_record();
    if (!header_read_) return read_file_header();
    const std::size_t header_bytes = variant_.record_header_bytes;
    const auto header = input_.peek(header_bytes);
    if (header.size() < header_bytes) [[unlikely]] {
      if (header.empty() && !input_.failure()) return Kind::end;
      return cut({"a packet's header", "报文头"}, header.size(), header_bytes);
    }
    const std::uint64_t seconds = u32(header, 0), fraction = u32(header, 4);
    const auto [captured, original] = lengths(u32(header, 8), u32(header, 12));
    if (captured > max_block_bytes)
      return damaged(base::format({"a packet that claims {} bytes", "自称有 {} 字节的报文"}, captured));
    const auto whole = input_.peek(header_bytes + captured);
    if (whole.size() < header_bytes + captured) [[unlikely]]
      return cut({"a packet", "报文"}, whole.size(), header_bytes + captured);

    // At most 2^32 s and 2^32 us: before latest_time.
    const std::uint64_t ns_per_fraction = variant_.digits == 6 ? 1000 : 1;
    packet_.at = base::wall_from_ns(static_cast<std::int64_t>(seconds * 1'000'000'000 + fraction * ns_per_fraction));
    packet_.original_length = original;
    packet_.bytes = whole.subspan(header_bytes);
    input_.consume(whole.size());
    return Kind::packet;
  }

  base::Result<Kind> read_file_header() {
    const auto header = input_.peek(file_header_bytes);
    if (header.size() < file_header_bytes) return cut({"the file header", "文件头"}, header.size(), file_header_bytes);
    const unsigned major = load<std::uint16_t>(header.data() + 4, swapped_);
    const unsigned minor = load<std::uint16_t>(header.data() + 6, swapped_);
    if (major != 2 && major != 543)
      return damaged(base::format({"pcap version {}.{}, which is not known,", "未知的 pcap 版本 {}.{}"}, major, minor));
    if (major == 2 && minor < 3) length_order_ = LengthOrder::original_first;
    if (major == 2 && minor == 3) length_order_ = LengthOrder::smaller_is_captured;

    const std::uint32_t link_field = u32(header, 20);
    constexpr std::uint32_t fcs_present = 1U << 26;
    InterfaceInfo info;
    info.interface.link_type = wire::LinkType(static_cast<std::uint16_t>(link_field));
    info.interface.snap_length = u32(header, 16);
    info.interface.timestamp_digits = variant_.digits;
    if ((link_field & fcs_present) != 0) info.fcs_length = static_cast<std::uint8_t>((link_field >> 28) * 2);
    packet_.link_type = info.interface.link_type;
    interfaces_.push_back(std::move(info));
    input_.consume(file_header_bytes);
    header_read_ = true;
    section_ = {.format = Format::pcap, .hardware = {}, .os = {}, .application = {}, .comments = {}};
    return Kind::section;
  }

  [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> lengths(std::uint32_t first, std::uint32_t second) const {
    const bool original_first = length_order_ == LengthOrder::original_first ||
                                (length_order_ == LengthOrder::smaller_is_captured && first > second);
    return original_first ? std::pair(second, first) : std::pair(first, second);
  }

  [[nodiscard]] std::uint32_t u32(std::span<const std::uint8_t> bytes, std::size_t at) const {
    return load<std::uint32_t>(bytes.data() + at, swapped_);
  }

  static_assert(std::uint64_t{0xffff'ffff} * 1'000'000'000 + std::uint64_t{0xffff'ffff} * 1000 <=
                static_cast<std::uint64_t>(latest_time.time_since_epoch().count()));

  const Variant variant_;
  bool swapped_;
  bool header_read_ = false;
  LengthOrder length_order_ = LengthOrder::captured_first;
};

}  // namespace

std::unique_ptr<CaptureReader::Impl> make_pcap_reader(InputBuffer& input, const std::string& name) {
  const auto magic = input.peek(4);
  if (magic.size() < 4) return nullptr;
  for (const bool swapped : {false, true})
    if (const Variant* variant = find_variant(load<std::uint32_t>(magic.data(), swapped)))
      return std::make_unique<PcapReader>(std::move(input), name, *variant, swapped);
  return nullptr;
}

}  // namespace tcpwhy::capfile
