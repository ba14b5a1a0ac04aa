// snoop (RFC 1761): a file header, then packets; everything big-endian.
//
//   0  "snoop\0\0\0"    8  version    12 data link type
//
//   each packet: original length, included length, length of the whole record, cumulative drops, seconds, microseconds (24 bytes);
//   the included bytes; padding to the length of the record
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/format.h"
#include "capfile/formats/byte_order.h"
#include "capfile/formats/reader_impl.h"

namespace tcpwhy::capfile {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view magic = "snoop\0\0\0"sv;
constexpr std::size_t file_header_bytes = 16, record_header_bytes = 24;
constexpr bool swapped = std::endian::native == std::endian::little;

struct DataLink {
  std::uint32_t snoop;
  std::uint16_t link_type;  // LINKTYPE_ of pcap
};

// RFC 1761, "Datalink Type". Its IEEE 802.3 (0) and Ethernet (4) are the same on the wire.
constexpr DataLink data_links[] = {{0, 1}, {2, 6}, {4, 1}, {8, 10}};

std::uint32_t u32(std::span<const std::uint8_t> bytes, std::size_t at) {
  return load<std::uint32_t>(bytes.data() + at, swapped);
}

class SnoopReader final : public CaptureReader::Impl {
 public:
  SnoopReader(InputBuffer input, const std::string& name) : Impl(std::move(input), name) {}

 private:
  base::Result<Kind> read_record() override {
    mark_record();
    if (interfaces_.empty()) return read_file_header();
    const auto header = input_.peek(record_header_bytes);
    if (header.size() < record_header_bytes) {
      if (header.empty() && !input_.failure()) return Kind::end;
      return cut({"a packet's header", "报文头"}, header.size(), record_header_bytes);
    }
    const std::uint32_t captured = u32(header, 4), record = u32(header, 8);
    if (captured > max_block_bytes || record > max_block_bytes)
      return damaged(
          base::format({"a packet that claims {} bytes", "自称有 {} 字节的报文"}, std::max(captured, record)));
    if (record < record_header_bytes || captured > record - record_header_bytes)
      return damaged(base::format({"a packet of {} bytes in a record of {}", "报文有 {} 字节，而所在的记录只有 {}"},
                                  captured, record));
    const std::uint64_t seconds = u32(header, 16), microseconds = u32(header, 20);
    packet_.at = base::wall_from_ns(static_cast<std::int64_t>(seconds * 1'000'000'000 + microseconds * 1000));
    packet_.original_length = u32(header, 0);
    const auto whole = input_.peek(record);
    if (whole.size() < record) return cut({"a packet", "报文"}, whole.size(), record);
    packet_.bytes = whole.subspan(record_header_bytes, captured);
    input_.consume(record);
    return Kind::packet;
  }

  base::Result<Kind> read_file_header() {
    const auto header = input_.peek(file_header_bytes);
    if (header.size() < file_header_bytes) return cut({"the file header", "文件头"}, header.size(), file_header_bytes);
    constexpr std::uint32_t known_version = 2;
    if (u32(header, 8) != known_version)
      return damaged(base::format({"snoop version {}, which is not known,", "未知的 snoop 版本 {}"}, u32(header, 8)));
    const auto* const row = std::ranges::find(data_links, u32(header, 12), &DataLink::snoop);
    if (row == std::end(data_links))
      return damaged(base::format({"snoop data link type {}, which is not known,", "未知的 snoop 数据链路类型 {}"},
                                  u32(header, 12)));
    InterfaceInfo info;
    info.interface.link_type = wire::LinkType(row->link_type);
    info.interface.timestamp_digits = 6;
    packet_.link_type = info.interface.link_type;
    interfaces_.push_back(std::move(info));
    input_.consume(file_header_bytes);
    section_ = {.format = Format::snoop, .hardware = {}, .os = {}, .application = {}, .comments = {}};
    return Kind::section;
  }
};

}  // namespace

std::unique_ptr<CaptureReader::Impl> make_snoop_reader(InputBuffer& input, const std::string& name) {
  const auto start = input.peek(magic.size());
  if (start.size() < magic.size() || std::memcmp(start.data(), magic.data(), magic.size()) != 0) return nullptr;
  return std::make_unique<SnoopReader>(std::move(input), name);
}

}  // namespace tcpwhy::capfile
