#include "capfile/formats/reader.h"

#include <fmt/format.h>

#include <utility>

#include "base/text.h"
#include "capfile/formats/reader_impl.h"
#include "capfile/input/file_kind.h"
#include "capfile/input/unpacked_source.h"
#include "capfile/input/unpacker.h"

namespace tcpwhy::capfile {

std::string shown(const std::string& name) { return base::escape_controls(name); }

std::unexpected<base::Error> unreadable(const std::string& name, std::string_view what, std::string hint) {
  return base::fail(base::ErrorKind::unreadable, fmt::format("{}: {}", shown(name), what), std::move(hint));
}

std::unexpected<base::Error> CaptureReader::Impl::damaged(std::string_view what) const {
  const std::string compression = input_.compression();
  return unreadable(name_,
                    fmt::format("{} at byte {}{}", what, record_offset_,
                                compression.empty() ? "" : fmt::format(" of what the {} data hold", compression)),
                    "the records before that place are intact");
}

std::unexpected<base::Error> CaptureReader::Impl::cut(std::string_view what, std::uint64_t have,
                                                      std::uint64_t need) const {
  if (const auto failure = input_.failure()) return damaged(fmt::format("{}: stopped in {}", *failure, what));
  return damaged(fmt::format("cut in the middle of {} ({} of {} bytes)", what, have, need));
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
               ? unreadable(name, "the file is empty", "was the capture stopped before it wrote anything?")
               : unreadable(name, fmt::format("{} data of an empty file", compression));
  // Otherwise it would have been unpacked.
  if (const PackedFormat* const inside = packed_format_of(start))
    return unreadable(
        name,
        fmt::format("not a pcap, pcapng or snoop capture: {0} data whose content looks like {1} data inside "
                    "compressed data",
                    compression, inside->name),
        "unpack it once");
  const FileKind kind = recognise(start);
  return unreadable(name,
                    fmt::format("not a pcap, pcapng or snoop capture: {}looks like {}",
                                compression.empty() ? "" : compression + " data whose content ", kind.name),
                    std::string(kind.hint));
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
