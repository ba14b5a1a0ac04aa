// pcapng: blocks of a type, a total length, a body and the total length again (draft-ietf-opsawg-pcapng).
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/format.h"
#include "capfile/formats/block_types.h"
#include "capfile/formats/byte_order.h"
#include "capfile/formats/reader_impl.h"
#include "capfile/formats/tick_clock.h"

namespace tcpwhy::capfile {
namespace {

using Bytes = std::span<const std::uint8_t>;

std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Calls f(code, value) for each option; an option that runs over the end of `options` ends the list.
template <class F>
void for_each_option(Bytes options, bool swapped, F&& f) {
  while (options.size() >= 4) {
    const auto code = load<std::uint16_t>(options.data(), swapped);
    const std::size_t length = load<std::uint16_t>(options.data() + 2, swapped);
    options = options.subspan(4);
    if (code == pcapng::end_of_options || length > options.size()) return;
    f(code, options.first(length));
    options = options.subspan(std::min(pcapng::padded(length), options.size()));
  }
}

class PcapngReader final : public CaptureReader::Impl {
 public:
  PcapngReader(InputBuffer input, const std::string& name) : Impl(std::move(input), name) {}

 private:
  // One block's header; the body is peeked only for the types we read.
  struct Block {
    std::uint32_t type = 0, total_length = 0;
  };

  // What a block became; nothing if it is one that is not delivered.
  using Next = base::Result<std::optional<Kind>>;

  base::Result<Kind> read_record() override {
    while (true) {
      auto block = read_block_header();
      if (!block) return std::unexpected(std::move(block.error()));
      if (!*block) return Kind::end;
      auto record = read_block(**block);
      if (!record) return std::unexpected(std::move(record.error()));
      if (*record) return **record;
    }
  }

  base::Result<std::optional<Block>> read_block_header() {
    mark_record();
    const auto header = input_.peek(pcapng::block_header_bytes);
    if (header.empty() && !input_.failure()) [[unlikely]]
      return std::nullopt;
    if (header.size() < pcapng::block_header_bytes)
      return cut({"a block's header", "块头"}, header.size(), pcapng::block_header_bytes);
    // The type of a Section Header Block reads the same in both byte orders; its byte-order magic governs its own
    // length.
    if (u32(header, 0) == pcapng::section_header) {
      const auto start = input_.peek(12);
      if (start.size() < 12) return cut({"a section header", "节头"}, start.size(), 12);
      const auto magic = load<std::uint32_t>(start.data() + 8, false);
      if (magic != pcapng::byte_order_magic && std::byteswap(magic) != pcapng::byte_order_magic)
        return damaged(base::format(
            {"a section header with the byte-order magic {:#010x}", "字节序标记为 {:#010x} 的节头"}, magic));
      swapped_ = magic != pcapng::byte_order_magic;
    }
    const auto again = input_.peek(pcapng::block_header_bytes);
    const Block block{u32(again, 0), u32(again, 4)};
    if (block.total_length < pcapng::block_overhead || block.total_length % 4 != 0)
      return damaged(
          base::format({"a block of type {:#x} with the impossible length {}", "类型为 {:#x} 的块，其长度 {} 不可能"},
                       block.type, block.total_length));
    return block;
  }

  // A record, or nothing if the block was one that is not delivered.
  Next read_block(const Block& block) {
    switch (block.type) {
      case pcapng::section_header: return read_whole(block, {"a section header", "节头"}, &PcapngReader::section);
      case pcapng::interface_description:
        return read_whole(block, {"an interface description", "接口描述"}, &PcapngReader::interface_description);
      case pcapng::enhanced_packet: return read_whole(block, {"a packet", "报文"}, &PcapngReader::enhanced_packet);
      case pcapng::simple_packet:
        return read_whole(block, {"a simple packet", "简单报文"}, &PcapngReader::simple_packet);
      case pcapng::obsolete_packet:
        return read_whole(block, {"an (obsolete) packet", "（过时的）报文"}, &PcapngReader::obsolete_packet);
      case pcapng::journal_export: return read_whole(block, {"a journal entry", "日志条目"}, &PcapngReader::journal);
      default: return skip(block);
    }
  }

  Next read_whole(const Block& block, const base::Text& what, Next (PcapngReader::*read_body)(Bytes)) {
    if (block.total_length > max_block_bytes)
      return damaged(base::format({"{} that claims {} bytes", "{}自称有 {} 字节"}, what, block.total_length));
    const auto whole = input_.peek(block.total_length);
    if (whole.size() < block.total_length) return cut(what, whole.size(), block.total_length);
    const auto last = u32(whole, block.total_length - 4);
    if (last != block.total_length)
      return damaged(base::format({"{} whose two lengths contradict ({} and {})", "{}的两个长度矛盾（{} 和 {}）"}, what,
                                  block.total_length, last));
    auto record =
        (this->*read_body)(whole.subspan(pcapng::block_header_bytes, block.total_length - pcapng::block_overhead));
    if (record) input_.consume(block.total_length);
    return record;
  }

  Next skip(const Block& block) {
    const std::uint64_t body_end = block.total_length - 4;
    const std::uint64_t skipped = input_.skip(body_end);
    const auto last = input_.peek(4);
    if (skipped < body_end || last.size() < 4)
      return cut(base::format({"a block of type {:#x}", "类型为 {:#x} 的块"}, block.type), skipped + last.size(),
                 block.total_length);
    if (u32(last, 0) != block.total_length)
      return damaged(base::format({"a block of type {:#x} whose two lengths contradict ({} and {})",
                                   "类型为 {:#x} 的块，其两个长度矛盾（{} 和 {}）"},
                                  block.type, block.total_length, u32(last, 0)));
    input_.consume(4);
    return std::nullopt;
  }

  // byte-order magic, major and minor version, section length (not needed: blocks are read one by one); options
  Next section(Bytes body) {
    constexpr std::size_t fixed = 16;
    if (body.size() < fixed) return damaged({"a section header that is too short", "过短的节头"});
    const unsigned major = load<std::uint16_t>(body.data() + 4, swapped_);
    if (major != 1)
      return damaged(
          base::format({"a section of pcapng version {}, which is not known,", "未知的 pcapng 版本 {} 的节"}, major));
    interfaces_.clear();
    stampers_.clear();
    last_time_ = {};
    section_ = {.format = Format::pcapng, .hardware = {}, .os = {}, .application = {}, .comments = {}};
    for_each_option(body.subspan(fixed), swapped_, [&record = section_](std::uint16_t code, Bytes value) {
      switch (code) {
        case pcapng::comment: record.comments.emplace_back(as_text(value)); break;
        case pcapng::shb_hardware: record.hardware = as_text(value); break;
        case pcapng::shb_os: record.os = as_text(value); break;
        case pcapng::shb_userappl: record.application = as_text(value); break;
        default: break;
      }
    });
    return Kind::section;
  }

  // link type (16 bits), reserved (16), snapshot length; options
  Next interface_description(Bytes body) {
    constexpr std::size_t fixed = 8;
    if (body.size() < fixed) return damaged({"an interface description that is too short", "过短的接口描述"});
    if (interfaces_.size() == max_interfaces)
      return damaged(base::format({"more than {} interfaces in a section", "一节中有超过 {} 个接口"}, max_interfaces));
    InterfaceInfo info;
    info.interface.link_type = wire::LinkType(load<std::uint16_t>(body.data(), swapped_));
    info.interface.snap_length = u32(body, 4);
    std::uint8_t resolution = 6;
    std::int64_t offset_seconds = 0;
    for_each_option(body.subspan(fixed), swapped_, [&](std::uint16_t code, Bytes value) {
      switch (code) {
        case pcapng::comment: info.comments.emplace_back(as_text(value)); break;
        case pcapng::if_name: info.interface.name = as_text(value); break;
        case pcapng::if_description: info.interface.description = as_text(value); break;
        case pcapng::if_tsresol:
          if (!value.empty()) resolution = value[0];
          break;
        case pcapng::if_fcslen:
          if (!value.empty()) info.fcs_length = value[0];
          break;
        case pcapng::if_tsoffset:
          if (value.size() >= 8)
            offset_seconds = static_cast<std::int64_t>(load<std::uint64_t>(value.data(), swapped_));
          break;
        default: break;
      }
    });
    const TickClock clock(resolution, offset_seconds);
    info.interface.timestamp_digits = clock.digits();
    stampers_.push_back({clock, info.interface.link_type});
    interfaces_.push_back(std::move(info));
    return std::nullopt;
  }

  // interface, time stamp (high, low), captured length, original length; packet; options
  Next enhanced_packet(Bytes body) {
    constexpr std::size_t fixed = 20;
    if (body.size() < fixed) return damaged({"a packet that is too short", "过短的报文"});
    return packet(body, fixed, u32(body, 0));
  }

  // The same, but the first word is a 16-bit interface and a 16-bit count of drops.
  Next obsolete_packet(Bytes body) {
    constexpr std::size_t fixed = 20;
    if (body.size() < fixed) return damaged({"an (obsolete) packet that is too short", "过短的（过时的）报文"});
    return packet(body, fixed, load<std::uint16_t>(body.data(), swapped_));
  }

  Next packet(Bytes body, std::size_t fixed, std::uint32_t interface) {
    if (interface >= interfaces_.size()) return unknown_interface(interface);
    const std::uint64_t ticks = std::uint64_t{u32(body, 4)} << 32 | u32(body, 8);
    const std::size_t captured = u32(body, 12);
    if (captured > body.size() - fixed)
      return damaged(base::format(
          {"a packet that claims {} bytes in a block that has {}", "报文自称有 {} 字节，而所在的块只有 {}"}, captured,
          body.size() - fixed));
    PacketRecord& record = packet_;
    record.interface = interface;
    record.link_type = stampers_[interface].link_type;
    record.at = last_time_ = stampers_[interface].clock.at(ticks);
    record.original_length = u32(body, 16);
    record.bytes = body.subspan(fixed, captured);
    record.packet_id.reset();
    comments_.clear();
    const std::size_t options_at = std::min(fixed + pcapng::padded(captured), body.size());
    for_each_option(body.subspan(options_at), swapped_, [&](std::uint16_t code, Bytes value) {
      if (code == pcapng::comment) comments_.push_back(as_text(value));
      if (code == pcapng::epb_packetid && value.size() == 8)
        record.packet_id = load<std::uint64_t>(value.data(), swapped_);
    });
    record.comments = comments_;
    return Kind::packet;
  }

  // original length; packet, of which as much is there as the first interface's snapshot length allows
  Next simple_packet(Bytes body) {
    constexpr std::size_t fixed = 4;
    if (body.size() < fixed) return damaged({"a simple packet that is too short", "过短的简单报文"});
    if (interfaces_.empty()) return unknown_interface(0);
    const std::uint32_t snap_length = interfaces_[0].interface.snap_length;
    PacketRecord& record = packet_;
    record = {};
    record.link_type = interfaces_[0].interface.link_type;
    record.original_length = u32(body, 0);
    const std::size_t captured =
        snap_length == 0 ? record.original_length : std::min(snap_length, record.original_length);
    if (captured > body.size() - fixed)
      return damaged(
          base::format({"a simple packet of {} bytes in a block that has {}", "简单报文有 {} 字节，而所在的块只有 {}"},
                       captured, body.size() - fixed));
    record.at = last_time_;
    record.bytes = body.subspan(fixed, captured);
    return Kind::packet;
  }

  Next journal(Bytes body) {
    std::string_view entry = as_text(body);
    while (entry.ends_with('\0')) entry.remove_suffix(1);
    journal_ = {entry};
    return Kind::journal;
  }

  Next unknown_interface(std::uint32_t interface) {
    return damaged(base::format(
        {"a packet of interface {}, where the section describes {},", "报文属于接口 {}，而该节只描述了 {} 个"},
        interface, interfaces_.size()));
  }

  [[nodiscard]] std::uint32_t u32(Bytes bytes, std::size_t at) const {
    return load<std::uint32_t>(bytes.data() + at, swapped_);
  }

  bool swapped_ = false;
  // What each packet asks of its interface: one for each of interfaces_.
  struct Stamper {
    TickClock clock;
    wire::LinkType link_type;
  };
  std::vector<Stamper> stampers_;
  base::WallTime last_time_;
  std::vector<std::string_view> comments_;  // of the packet delivered last
};

}  // namespace

std::unique_ptr<CaptureReader::Impl> make_pcapng_reader(InputBuffer& input, const std::string& name) {
  const auto type = input.peek(4);
  if (type.size() < 4 || load<std::uint32_t>(type.data(), false) != pcapng::section_header) return nullptr;
  return std::make_unique<PcapngReader>(std::move(input), name);
}

}  // namespace tcpwhy::capfile
