// W2: 64-64-10 relu softmax-CE batch 32 Adam; plain loops with compile-time shapes.
#include <stdio.h>
#include <stdlib.h>
#include <math.h>
#include <time.h>
static double now(clockid_t c){struct timespec t;clock_gettime(c,&t);return t.tv_sec*1e6+t.tv_nsec*1e-3;}
enum{N=1472,I=64,H=64,O=10,B=32};
static float X[N][I];static int Y[N];
static float P[I*H+H+H*O+O],M[I*H+H+H*O+O],V[I*H+H+H*O+O],G[I*H+H+H*O+O];
static float h[B][H],z[B][O],dh[B][H],w2t[O][H];
static void step(int s){ const float (*x)[I]=(const float(*)[I])X[(s*B)%N]; const int*t=Y+(s*B)%N;
  float (*w1)[H]=(void*)P,*b1=P+I*H,(*w2)[O]=(void*)(b1+H),*b2=b1+H+H*O; float (*g1)[H]=(void*)G,*gb1=G+I*H,(*g2)[O]=(void*)(gb1+H),*gb2=gb1+H+H*O;
  for(int b=0;b<B;b++){ float acc[H]; for(int j=0;j<H;j++)acc[j]=b1[j]; for(int k=0;k<I;k++)for(int j=0;j<H;j++)acc[j]+=x[b][k]*w1[k][j]; for(int j=0;j<H;j++)h[b][j]=acc[j]>0?acc[j]:0; }
  for(int b=0;b<B;b++){ float acc[O]; for(int j=0;j<O;j++)acc[j]=b2[j]; for(int k=0;k<H;k++)for(int j=0;j<O;j++)acc[j]+=h[b][k]*w2[k][j];
    float m=acc[0];for(int j=1;j<O;j++)m=acc[j]>m?acc[j]:m; float S=0;for(int j=0;j<O;j++){acc[j]=expf(acc[j]-m);S+=acc[j];} S=1/(S*B); for(int j=0;j<O;j++)z[b][j]=acc[j]*S; z[b][t[b]]-=1.0f/B; }
  for(int k=0;k<H;k++)for(int j=0;j<O;j++)w2t[j][k]=w2[k][j];
  for(int j=0;j<O;j++){gb2[j]=0;for(int b=0;b<B;b++)gb2[j]+=z[b][j];}
  for(int k=0;k<H;k++){float acc[O]={0};for(int b=0;b<B;b++)for(int j=0;j<O;j++)acc[j]+=h[b][k]*z[b][j];for(int j=0;j<O;j++)g2[k][j]=acc[j];}
  for(int b=0;b<B;b++){float acc[H]={0};for(int j=0;j<O;j++)for(int k=0;k<H;k++)acc[k]+=z[b][j]*w2t[j][k];for(int k=0;k<H;k++)dh[b][k]=h[b][k]>0?acc[k]:0;}
  for(int j=0;j<H;j++)gb1[j]=0; for(int b=0;b<B;b++)for(int j=0;j<H;j++)gb1[j]+=dh[b][j];
  for(int k=0;k<I;k++){float acc[H]={0};for(int b=0;b<B;b++)for(int j=0;j<H;j++)acc[j]+=x[b][k]*dh[b][j];for(int j=0;j<H;j++)g1[k][j]=acc[j];}
  float a=0.001*sqrt(1-pow(.999,s+1))/(1-pow(.9,s+1));
  for(int i=0;i<I*H+H+H*O+O;i++){M[i]=.9f*M[i]+.1f*G[i];V[i]=.999f*V[i]+.001f*G[i]*G[i];P[i]-=a*M[i]/(sqrtf(V[i])+1e-8f);}
}
int main(){FILE*f=fopen("../data/digits_1472.csv","r");for(int i=0;i<N;i++){for(int j=0;j<I;j++){float v;if(fscanf(f,"%f,",&v)!=1)return 1;X[i][j]=v/16;}if(fscanf(f,"%d",&Y[i])!=1)return 1;}fclose(f);
 f=fopen("w2_init.txt","r");for(int i=0;i<I*H+H+H*O+O;i++)if(fscanf(f,"%f",&P[i])!=1)return 1;fclose(f);
 double w=now(CLOCK_MONOTONIC),t=now(CLOCK_PROCESS_CPUTIME_ID);for(int s=0;s<20000;s++)step(s);t=now(CLOCK_PROCESS_CPUTIME_ID)-t;w=now(CLOCK_MONOTONIC)-w;
 double c=0;for(int i=0;i<I*H;i++)c+=fabs(P[i]);printf("us/step cpu %.3f wall %.3f chk %.6g\n",t/20000,w/20000,c);}
