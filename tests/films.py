"For tests that need less of a video than there is."
import av


def begin(path, target, seconds=3):
    "Copy the beginning of a video; return where it lies."
    target.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path) as source, av.open(target, 'w') as sink:
        taken = *source.streams.video[:1], *source.streams.audio[:1]
        streams = {stream.index: sink.add_stream_from_template(stream) for stream in taken}
        for packet in source.demux(*taken):
            if packet.dts is None or packet.pts * packet.time_base >= seconds: continue
            packet.stream = streams[packet.stream.index]
            sink.mux(packet)
    return target
