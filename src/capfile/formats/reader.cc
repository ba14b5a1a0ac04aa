#include "capfile/formats/reader.h"

#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "capfile/formats/reader_impl.h"
#include "capfile/input/file_kind.h"
#include "capfile/input/unpacked_source.h"
#include "capfile/input/unpacker.h"

namespace tcpwhy::capfile {

std::string shown(const std::string& name) { return base::escape_controls(name); }

std::unexpected<base::Error> unreadable(const std::string& name, const base::Text& what, base::OwnedText hint) {
  return base::fail(base::ErrorKind::unreadable, base::format({"{}: {}", "{}：{}"}, shown(name), what),
                    std::move(hint));
}

std::unexpected<base::Error> CaptureReader::Impl::damaged(const base::Text& what) const {
  const std::string compression = input_.compression();
  const auto place = compression.empty()
                         ? base::format({"at byte {}", "位于第 {} 字节"}, record_offset_)
                         : base::format({"at byte {0} of what the {1} data hold", "位于 {1} 数据内容的第 {0} 字节"},
                                        record_offset_, compression);
  return unreadable(name_, base::format({"{} {}", "{}，{}"}, what, place),
                    {"the records before that place are intact", "此处之前的记录完好"});
}

std::unexpected<base::Error> CaptureReader::Impl::cut(const base::Text& what, std::uint64_t have,
                                                      std::uint64_t need) const {
  if (const auto failure = input_.failure())
    return damaged(base::format({"{}: stopped in {}", "{}：止于{}之中"}, *failure, what));
  return damaged(
      base::format({"cut in the middle of {} ({} of {} bytes)", "在{}中间截断（{} / {} 字节）"}, what, have, need));
}

namespace {

InputBuffer unpacked(std::unique_ptr<ByteSource> source) { return InputBuffer(decompressed(std::move(source))); }

base::Result<std::unique_ptr<CaptureReader::Impl>> recognise_format(InputBuffer input, const std::string& name) {
  if (auto pcap = make_pcap_reader(input, name)) return pcap;
  if (auto pcapng = make_pcapng_reader(input, name)) return pcapng;
  if (auto snoop = make_snoop_reader(input, name)) return snoop;

  const auto start = input.peek(512);
  const std::string compression = input.compression();
  if (const auto failure = input.failure()) return unreadable(name, *failure);
  if (start.empty())
    return compression.empty()
               ? unreadable(name, {"the file is empty", "文件是空的"},
                            {"was the capture stopped before it wrote anything?", "抓包是否在写入之前就停止了？"})
               : unreadable(name, base::format({"{} data of an empty file", "空文件的 {} 数据"}, compression));
  // Otherwise it would have been unpacked.
  if (const PackedFormat* const inside = packed_format_of(start))
    return unreadable(
        name,
        base::format({"not a pcap, pcapng or snoop capture: {0} data whose content looks like {1} data inside "
                      "compressed data",
                      "不是 pcap、pcapng 或 snoop 抓包：{0} 数据的内容像是压缩数据中的 {1} 数据"},
                     compression, inside->name),
        {"unpack it once", "请先解压一次"});
  const FileKind kind = recognise(start);
  const auto what = compression.empty()
                        ? base::format({"not a pcap, pcapng or snoop capture: looks like {}",
                                        "不是 pcap、pcapng 或 snoop 抓包：像是{}"},
                                       kind.name)
                        : base::format({"not a pcap, pcapng or snoop capture: {} data whose content looks like {}",
                                        "不是 pcap、pcapng 或 snoop 抓包：{} 数据的内容像是{}"},
                                       compression, kind.name);
  return unreadable(name, what, base::owned(kind.hint));
}

}  // namespace

base::Result<CaptureReader> CaptureReader::open(const std::string& path) {
  const auto input = Input::open(path);
  if (!input) return std::unexpected(input.error());
  return open(*input);
}

base::Result<CaptureReader> CaptureReader::open(const Input& input) {
  auto impl = recognise_format(
      FilePieces::can_read(input) ? InputBuffer(std::make_shared<FilePieces>(input)) : unpacked(input_source(input)),
      input.name());
  if (!impl) return std::unexpected(std::move(impl.error()));
  return CaptureReader(std::move(*impl));
}

base::Result<CaptureReader> CaptureReader::from_memory(std::span<const std::uint8_t> bytes, std::string name) {
  auto impl = recognise_format(unpacked(memory_source(bytes)), name);
  if (!impl) return std::unexpected(std::move(impl.error()));
  return CaptureReader(std::move(*impl));
}

CaptureReader::CaptureReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CaptureReader::CaptureReader(CaptureReader&&) noexcept = default;
CaptureReader& CaptureReader::operator=(CaptureReader&&) noexcept = default;
CaptureReader::~CaptureReader() = default;

base::Result<std::optional<Record>> CaptureReader::next() { return impl_->next(); }
base::Result<const PacketRecord*> CaptureReader::next_packet() { return impl_->next_packet(); }
const SharedBytes& CaptureReader::memory() const { return impl_->input().memory(); }
std::size_t CaptureReader::in_memory() const { return impl_->input().in_memory(); }
const std::shared_ptr<ReadAhead>& CaptureReader::read_ahead() const { return impl_->input().read_ahead(); }
std::span<const InterfaceInfo> CaptureReader::interfaces() const { return impl_->interfaces(); }
const std::string& CaptureReader::name() const { return impl_->name(); }
std::uint64_t CaptureReader::offset() const { return impl_->input().offset(); }
std::uint64_t CaptureReader::input_position() const { return impl_->input().position(); }
std::optional<std::uint64_t> CaptureReader::input_size() const { return impl_->input().size(); }

}  // namespace tcpwhy::capfile
