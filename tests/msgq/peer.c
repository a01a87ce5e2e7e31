/* Typical C programs on the other side of a queue, one for each mode. */
#include <errno.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <unistd.h>

struct message {
    long type;
    char text[512];
};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static key_t key_of(const char *text) { return (key_t)strtoul(text, NULL, 0); }

/* send KEY TYPE TEXT */
static void send_one(char **words) {
    struct message message = {.type = atol(words[1])};
    strcpy(message.text, words[2]);
    int queue = msgget(key_of(words[0]), IPC_CREAT | 0600);
    if (queue < 0 || msgsnd(queue, &message, strlen(words[2]), 0) < 0) fail("send");
}

/* recv KEY TYPE */
static void receive_one(char **words) {
    struct message message;
    int queue = msgget(key_of(words[0]), 0);
    ssize_t length = msgrcv(queue, &message, sizeof message.text, atol(words[1]), 0);
    if (length < 0) fail("recv");
    printf("%ld:%.*s\n", message.type, (int)length, message.text);
}

/* mqsend NAME PRIORITY TEXT */
static void mq_send_one(char **words) {
    mqd_t queue = mq_open(words[0], O_WRONLY | O_CREAT, 0600, NULL);
    if (queue < 0 || mq_send(queue, words[2], strlen(words[2]), atoi(words[1])) < 0) fail("mqsend");
}

/* mqrecv NAME */
static void mq_receive_one(char **words) {
    char text[8192];
    unsigned priority;
    mqd_t queue = mq_open(words[0], O_RDONLY);
    ssize_t length = mq_receive(queue, text, sizeof text, &priority);
    if (length < 0) fail("mqrecv");
    printf("%u:%.*s\n", priority, (int)length, text);
}

/* talk KEY: the sending half of a chat, with its pid as the type and the whole buffer as the message */
static void talk(char **words) {
    struct message message = {.type = getpid()};
    int queue = msgget(key_of(words[0]), IPC_CREAT | 0600);
    while (fgets(message.text, sizeof message.text, stdin)) {
        if (msgsnd(queue, &message, sizeof message.text, 0) < 0) fail("talk");
        if (strcmp(message.text, "quit\n") == 0) break;
    }
}

/* listen KEY: the receiving half, which removes the queue */
static void hear(char **words) {
    struct message message;
    int queue = msgget(key_of(words[0]), IPC_CREAT | 0600);
    do {
        memset(message.text, 0, sizeof message.text);
        if (msgrcv(queue, &message, sizeof message.text - 1, 0, 0) < 0) fail("listen");
        printf("%s", message.text);
    } while (strncmp(message.text, "quit", 4) != 0);
    if (msgctl(queue, IPC_RMID, NULL) < 0) fail("remove");
}

int main(int count, char **words) {
    (void)count;
    char *mode = words[1];
    if (strcmp(mode, "send") == 0) send_one(words + 2);
    if (strcmp(mode, "recv") == 0) receive_one(words + 2);
    if (strcmp(mode, "mqsend") == 0) mq_send_one(words + 2);
    if (strcmp(mode, "mqrecv") == 0) mq_receive_one(words + 2);
    if (strcmp(mode, "talk") == 0) talk(words + 2);
    if (strcmp(mode, "listen") == 0) hear(words + 2);
    return 0;
}
