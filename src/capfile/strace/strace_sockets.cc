#include "capfile/strace/strace_sockets.h"

namespace tcpwhy::capfile {

StraceSockets::Id StraceSockets::add(std::uint64_t inode) {
  sockets_.emplace_back();
  const Id id = sockets_.size() - 1;
  if (inode != 0) by_inode_[inode] = id;
  return id;
}

void StraceSockets::forget_process(std::int32_t pid) { forget_range(pid, INT32_MIN, INT32_MAX); }

void StraceSockets::forget_range(std::int32_t pid, std::int32_t first, std::int32_t last) {
  if (first > last) return;
  descriptors_.erase(descriptors_.lower_bound({pid, first}), descriptors_.upper_bound({pid, last}));
}

std::optional<std::pair<std::int32_t, StraceSockets::Id>> StraceSockets::first_in(std::int32_t pid, std::int32_t first,
                                                                                  std::int32_t last) const {
  const auto found = descriptors_.lower_bound({pid, first});
  if (found == descriptors_.end() || found->first.pid != pid || found->first.fd > last) return std::nullopt;
  return std::pair{found->first.fd, found->second};
}

StraceSockets::Id StraceSockets::find(Descriptor place, std::string_view text) {
  const auto known = descriptors_.find(place);
  const Id here = known == descriptors_.end() ? 0 : known->second;
  if (text.empty()) return here;
  const auto shown = calls::parse_strace_socket(text);
  if (!shown) {
    if (known != descriptors_.end()) descriptors_.erase(known);  // the number is something else now
    return 0;
  }
  if (shown->inode != 0) return by_inode(place, *shown, here);
  if (!shown->tcp) return 0;
  if (!shown->remote) return bound(place, *shown->local, here);
  return connected(place, {*shown->local, *shown->remote}, here);
}

StraceSockets::Id StraceSockets::by_inode(Descriptor place, const calls::StraceSocket& shown, Id here) {
  const auto known = by_inode_.find(shown.inode);
  if (known != by_inode_.end()) return descriptors_[place] = known->second;
  // "socket:[N]": one that the kernel no longer lists, or of another protocol; only what is known already.
  if (!shown.tcp && here == 0) return 0;
  const Id id = here != 0 ? here : add(0);
  by_inode_[shown.inode] = id;
  return descriptors_[place] = id;
}

StraceSockets::Id StraceSockets::bound(Descriptor place, const wire::SocketAddress& local, Id here) {
  Id id = 0;
  if (here != 0 && !sockets_[here].remote && (!sockets_[here].local || *sockets_[here].local == local)) {
    id = here;
  } else {
    const auto known = by_local_.find(local);
    id = known != by_local_.end() ? known->second : add(0);
  }
  sockets_[id].local = local;
  by_local_[local] = id;
  return descriptors_[place] = id;
}

StraceSockets::Id StraceSockets::connected(Descriptor place, const Ends& ends, Id here) {
  Id id = fits(here, ends) ? here : 0;
  if (id == 0)
    if (const auto known = by_ends_.find(ends); known != by_ends_.end()) id = known->second;
  if (id == 0)
    if (const auto known = connecting_.find(place.fd); known != connecting_.end() && fits(known->second, ends))
      id = known->second;
  if (id == 0) id = add(0);
  set_ends(id, ends);
  return descriptors_[place] = id;
}

bool StraceSockets::fits(Id id, const Ends& ends) const {
  if (id == 0) return false;
  const Socket& known = sockets_[id];
  const bool to = !known.remote || same_endpoint(*known.remote, ends.second);
  const bool from = !known.local || known.local->port == 0 || known.local->ip.is_unspecified() ||
                    same_endpoint(*known.local, ends.first);
  return to && from;
}

void StraceSockets::set_ends(Id id, const Ends& ends) {
  Socket& known = sockets_[id];
  known.local = ends.first;
  known.remote = ends.second;
  by_ends_[ends] = id;
  if (!known.connect_returned) return;
  learned_.emplace_back(*known.connect_returned, id);
  known.connect_returned.reset();
}

}  // namespace tcpwhy::capfile
