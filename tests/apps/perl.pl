# SPDX-License-Identifier: MIT
# The programs of the perl test: sums, http, client, tiny (see tests/apps/perl).
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::IP;

my ($role, $port, @args) = @ARGV;
$SIG{CHLD} = 'IGNORE';
$| = 1;

sub slurp {
	open(my $in, '<:raw', $_[0]) or die "$_[0]: $!";
	local $/;
	return <$in>;
}

# A child for each connection reads to the end and answers with the sum and the peer.
sub serve_sums {
	my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port,
		Listen => 100, ReuseAddr => 1, Proto => 'tcp') or die "listen: $@";
	while (my $c = $listen->accept) {
		my $pid = fork // die "fork: $!";
		if ($pid) {
			close $c;
			next;
		}
		close $listen;
		my $sha = Digest::SHA->new(256);
		while (sysread($c, my $data, 65536)) { $sha->add($data) }
		print $c $sha->hexdigest, ' ', $c->peerhost, ' ', $c->peerport, "\n";
		close $c;
		exit 0;
	}
}

# HTTP/1.1 with keep-alive, over stdio; a child for each connection.
sub serve_http {
	my $body = slurp($args[0]);
	my $listen = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => $port, Listen => 100,
		ReuseAddr => 1, Type => SOCK_STREAM) or die "listen: $@";
	while (my $c = $listen->accept) {
		my $pid = fork // die "fork: $!";
		if ($pid) {
			close $c;
			next;
		}
		$c->autoflush(1);
		while (my $request = <$c>) {
			my $length = 0;
			while (my $line = <$c>) {
				$length = $1 if $line =~ /^content-length: *(\d+)/i;
				last if $line =~ /^\r?\n$/;
			}
			read($c, my $in, $length) == $length or die 'short body';
			my $out = $request =~ m{^POST} ? sha256_hex($in) : $request =~ m{ /file } ? $body : "hello\n";
			print $c "HTTP/1.1 200 OK\r\nContent-Length: ", length $out, "\r\n\r\n", $out;
		}
		exit 0;
	}
}

# Many non-blocking clients in one select loop; the file is dealt out among them.
sub client {
	my ($file, $clients) = @args;
	my $data = slurp($file);
	my $step = int(length($data) / $clients) + 1;
	my ($read, $write) = (IO::Select->new, IO::Select->new);
	my (%out, %want, %in);
	for my $i (0 .. $clients - 1) {
		my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp',
			Timeout => 20) or die "connect: $@";
		die 'peer' unless $s->peerhost eq '127.0.0.1' && $s->peerport == $port;
		$s->blocking(0);
		$out{$s} = substr($data, $i * $step, $step);
		$want{$s} = sha256_hex($out{$s}) . ' 127.0.0.1 ' . $s->sockport . "\n";
		$in{$s} = '';
		$read->add($s);
		$write->add($s);
	}
	my $done = 0;
	while ($read->count) {
		my ($r, $w) = IO::Select->select($read, $write, undef, 30) or die 'nothing happens for 30 s';
		for my $s (@$w) {
			my $n = syswrite($s, $out{$s});
			die "write: $!" if !defined $n && !$!{EAGAIN};
			substr($out{$s}, 0, $n // 0, '');
			next if length $out{$s};
			$write->remove($s);
			shutdown($s, 1) or die "shutdown: $!";
		}
		for my $s (@$r) {
			my $n = sysread($s, $in{$s}, 65536, length $in{$s});
			die "read: $!" if !defined $n && !$!{EAGAIN};
			next if !defined $n || $n;
			die "answer '$in{$s}', expected '$want{$s}'" if $in{$s} ne $want{$s};
			$read->remove($s);
			close $s;
			$done++;
		}
	}
	my $s = IO::Socket::IP->new(PeerHost => 'localhost', PeerPort => $port, Type => SOCK_STREAM)
		or die "IO::Socket::IP: $@"; # tries ::1 first, where nobody listens
	shutdown($s, 1);
	die 'empty' unless <$s> =~ /^e3b0c442/;
	print length($data), " bytes over $done connections in one select loop, as they were\n";
}

sub tiny {
	my ($file, $requests) = @args;
	require HTTP::Tiny;
	my $http = HTTP::Tiny->new(keep_alive => 1, timeout => 30);
	my $data = slurp($file);
	my $got = $http->get("http://127.0.0.1:$port/file");
	die "$got->{status} $got->{content}" unless $got->{success};
	die 'content' if $got->{content} ne $data;
	my $sum = $http->post("http://127.0.0.1:$port/sum", { content => $data });
	die "post: $sum->{content}" unless $sum->{content} eq sha256_hex($data);
	for (1 .. $requests) {
		$got = $http->get("http://127.0.0.1:$port/hello");
		die "hello: $got->{content}" unless $got->{content} eq "hello\n";
	}
	my $second = HTTP::Tiny->new(keep_alive => 0)->get("http://localhost:$port/hello");
	die "by name: $second->{content}" unless $second->{success};
	print length($data), " bytes each way as they were, $requests requests\n";
}

my %roles = (sums => \&serve_sums, http => \&serve_http, client => \&client, tiny => \&tiny);
$roles{$role}->();
